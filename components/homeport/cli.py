"""The `homeport` command: create a model, serve it locally, check stacks, render them, list their history, repair them.

Results go to standard output, errors to standard error. Nothing here imports Pulumi. `pulumi up` deploys; commands that
read or repair a stack run the `pulumi` command.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer

from homeport.commands import check as checking
from homeport.commands import guard as guarding
from homeport.commands import history as histories
from homeport.commands import init as beginning
from homeport.commands import recover as recovery
from homeport.commands import render as rendering
from homeport.commands.errors import UsageError
from homeport.commands.stacks import chosen, read, stack_folder
from homeport.errors import HomeportError
from homeport.output.text import Line
from homeport.specs import schemas

FAILED = 1
"""Exit code: the files have problems, or the command could not be completed."""

app = typer.Typer(
    help="A home on Kubernetes for machine-learning models. `pulumi up` deploys them. Of the commands here, only `recover` "
    "changes a stack.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


class Output(StrEnum):
    """How problems are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


class Table(StrEnum):
    """How a list is printed."""

    TEXT = "text"
    JSON = "json"


class Kind(StrEnum):
    """The kind of file that a schema describes."""

    MODEL = "model"
    ENVIRONMENT = "environment"
    MODELS = "models"


Names = Annotated[list[str] | None, typer.Argument(metavar="STACK", help="Names of the stacks. Default: all.")]
Folder = Annotated[Path, typer.Option("--stacks", metavar="DIR", help="Folder that contains a folder for each stack.")]
Selected = Annotated[
    str | None,
    typer.Option("--stack", "-s", metavar="NAME", help="Name of the stack in Pulumi. Default: the selected stack."),
]


def main() -> None:
    """Run the command."""
    app(prog_name="homeport")


def _version(asked: bool) -> None:
    if asked:
        _print([Line(f"homeport {installed_version('homeport')}")])
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(
    epilog="Examples: `homeport init fraud-score`, `homeport init flowers --from sklearn --stack dev`, "
    "`homeport init --notebook fraud-score.ipynb`."
)
def init(  # noqa: PLR0913, PLR0917  # one for each option
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Name of the model. Default: the notebook's name.")
    ] = None,
    kind: Annotated[
        beginning.Kind | None,
        typer.Option(
            "--from",
            help="Kind of model: a Python function, a scikit-learn or ONNX file, or a Dockerfile. Default: function.",
        ),
    ] = None,
    notebook: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Notebook whose cells tagged `serve` become model.py. Run again to update model.py."
        ),
    ] = None,
    serve: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Function or class in the notebook to serve. Default: predict, or the last one."
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Overwrite model.py, and copies of files beside the notebook, even if they were changed by hand.",
        ),
    ] = False,
    owner: Annotated[
        str, typer.Option(metavar="TEAM", help="Team that is responsible for the model.")
    ] = beginning.OWNER,
    folder: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder to write to. Default: ./NAME.")] = None,
    stack: Annotated[
        str | None,
        typer.Option(
            "--stack", "-s", metavar="NAME", help="Add the model to the models.yaml of this stack. Default: none."
        ),
    ] = None,
    stacks: Folder = Path("stacks"),
) -> None:
    """Create the folder of a model, which `homeport run` can serve at once. Existing files are not overwritten.

    Exit codes: 0 written, 1 a file exists already or the notebook cannot be served, 2 the command line is wrong.
    """
    if notebook and kind:
        raise typer.BadParameter("cannot be combined with --notebook", param_hint="--from")
    if not notebook and (serve or force):
        hint = "--serve" if serve else "--force"
        raise typer.BadParameter("requires --notebook", param_hint=hint)
    with _exit_codes():
        place = stack_folder(stack, stacks) if stack else None
        target = beginning.target(name, owner, folder=folder, stack=place, notebook=notebook)
        kind = kind or beginning.Kind.FUNCTION
        _print(beginning.init(target, kind, notebook, entry=serve, force=force))


@app.command(
    epilog="Examples: `homeport run`, `homeport run fraud-score --port 9000`. Variables: HOMEPORT_CACHE, "
    "HOMEPORT_SECRETS, HOMEPORT_SERVER_PACKAGE."
)
def run(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the model.")] = Path(),
    port: Annotated[
        int, typer.Option(metavar="PORT", min=1, max=65533, help="Port on 127.0.0.1; metrics are on this port + 2.")
    ] = 8080,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="PACKAGE",
            help="Source of homeport-server: a folder, a wheel or a requirement. Default: the version of this command.",
        ),
    ] = None,
) -> None:
    """Serve a model on this machine with the server, libraries, variables and limits that it has when deployed.

    The libraries are installed once into a virtual environment in the cache. Ctrl-C stops the server after it has
    answered the requests in flight.
    Exit codes: that of the server, 1 the model cannot be served here, 2 the command line is wrong.
    """
    # Imported here, because it needs modules that Windows does not have.
    from homeport.commands import run as running  # noqa: PLC0415
    from homeport.commands import virtualenv  # noqa: PLC0415

    with _exit_codes():
        serving = running.prepare(folder, port, server or virtualenv.server_package())
        _print(map(Line, serving.lines))
    serving.serve()


@app.command(epilog="Examples: `homeport check`, `homeport check prod --output json`.")
def check(
    names: Names = None,
    stacks: Folder = Path("stacks"),
    output: Annotated[
        Output | None,
        typer.Option("--output", "-o", help="Output format. Default: text; github in GitHub Actions."),
    ] = None,
) -> None:
    """Validate every file of the stacks and show all problems at once.

    Stacks are also compared with those that are not named, because two stacks must not have one namespace, host or image.
    Exit codes: 0 no problems, 1 problems were found, 2 the command line is wrong.
    """
    default = Output.GITHUB if os.environ.get("GITHUB_ACTIONS") == "true" else Output.TEXT
    shown = {Output.TEXT: checking.as_text, Output.JSON: checking.as_json, Output.GITHUB: checking.as_github}
    with _exit_codes():
        found = checking.check(chosen(names, stacks), chosen(None, stacks))
    _print(shown[output or default](found))
    if any(stack.problems for stack in found):
        raise typer.Exit(FAILED)


@app.command(
    epilog="Examples: `homeport render`, `homeport render prod --out /tmp/manifests`, "
    "`homeport render dev --stdout | kubectl diff --server-side -f -`."
)
def render(
    names: Names = None,
    stacks: Folder = Path("stacks"),
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the files, DIR/STACK/MODEL.yaml. Default: rendered.")
    ] = None,
    stdout: Annotated[bool, typer.Option("--stdout", help="Print the objects and write no files.")] = False,
) -> None:
    """Write the objects that `pulumi up` creates as YAML, one file for each model. Needs no cluster and no credentials.

    Files of models that are no longer live are removed if homeport wrote them. If there are problems, nothing is written.
    """
    if out and stdout:
        raise typer.BadParameter("cannot be combined with --stdout", param_hint="--out")
    with _exit_codes():
        found = read(chosen(names, stacks))
        if stdout:
            _print([Line(rendering.objects(found.values()).removesuffix("\n"), made=True)])
        else:
            _print(rendering.write_all(found, out or Path("rendered")))


@app.command(
    epilog="Example: `homeport guard prod | kubectl apply --server-side -f -`.",
)
def guard(
    name: Annotated[str, typer.Argument(metavar="STACK", help="Name of the stack.")],
    stacks: Folder = Path("stacks"),
) -> None:
    """Print what an administrator of the cluster installs once for a stack, as YAML.

    These are the permissions with which the environment's `deployer` can run `pulumi up`, and rules by which the API
    server protects the models. Exit codes: 0 printed, 1 there are problems, 2 the command line is wrong.
    """
    with _exit_codes():
        (folder,) = chosen([name], stacks)
        _print([Line(guarding.objects(folder).removesuffix("\n"), made=True)])


@app.command(epilog="Examples: `homeport history iris --stack prod`, `homeport history iris --output json`.")
def history(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")],
    stack: Selected = None,
    stacks: Folder = Path("stacks"),
    output: Annotated[Table, typer.Option("--output", "-o", help="Output format.")] = Table.TEXT,
) -> None:
    """List the versions of a model that were live, newest first: time, author, commit, image digest and result.

    Reads the stack's history from Pulumi's backend, and `models.yaml` at each commit from git. Exit codes: 0 listed,
    1 the history cannot be read or the model was never live, 2 the command line is wrong.
    """
    with _exit_codes():
        found = histories.history(model, stack, stacks)
    _print([histories.as_json(found)] if output is Table.JSON else map(Line, histories.text(found)))


@app.command(
    epilog="Examples: `homeport recover`, `homeport recover --stack prod --yes`, `homeport recover --stack dev --destroy`."
)
def recover(
    stack: Selected = None,
    destroy: Annotated[
        bool, typer.Option("--destroy", help="Delete everything in the stack: finish an interrupted `pulumi destroy`.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Skip the preview and the confirmation.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Break a lock even if its update may still be running.")
    ] = False,
) -> None:
    """Repair a stack after `pulumi` was killed: bring the state and the cluster back to what the files say.

    It is safe to run on a healthy stack, and to run again after an interruption. Exit codes: 0 done, 1 another update
    is running, Pulumi failed or you declined, 2 the command line is wrong.
    """
    if not yes and not sys.stdin.isatty():
        raise typer.BadParameter("--yes is required when standard input is not a terminal")
    with _exit_codes():
        recovery.recover(stack, destroy=destroy, yes=yes, force=force, say=lambda text: _print([Line(text)]))


@app.command(epilog="Example: `homeport schema model > model.schema.json`.")
def schema(kind: Annotated[Kind, typer.Argument(help="File that the schema describes.")] = Kind.MODEL) -> None:
    """Print the JSON Schema of `model.yaml`, `environment.yaml` or `models.yaml`, for editors."""
    _print([Line(schemas.schema(kind).removesuffix("\n"), made=True)])


@contextmanager
def _exit_codes() -> Iterator[None]:
    """End the command with an exit code and the reason if it cannot continue."""
    try:
        yield
    except UsageError as error:
        raise typer.BadParameter(str(error), param_hint=error.parameter) from None
    except HomeportError as error:
        _print(Line(line, error=True) for line in error.lines)
        raise typer.Exit(FAILED) from None
    except OSError as error:
        _print([Line(str(error), error=True)])
        raise typer.Exit(FAILED) from None


def _print(lines: Iterable[Line]) -> None:
    """Print lines. Nothing else in homeport prints, so no other code has to think of what a line may do (`Line.printed`)."""
    for line in lines:
        # `echo` removes colors if the output is not a terminal, but ignores https://no-color.org.
        plain = line.color is None or os.environ.get("NO_COLOR")
        typer.echo(line.printed if plain else typer.style(line.printed, fg=line.color), err=line.error)
