"""The `homeport` command: begin a model, serve it here, check what people wrote, render it and tell its history.

Results go to standard output, errors to standard error. Nothing here imports Pulumi: `pulumi up` deploys, and what is
told of a stack or done to it is asked of the `pulumi` command.
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
from homeport.commands import history as histories
from homeport.commands import init as beginning
from homeport.commands import recover as recovery
from homeport.commands import render as rendering
from homeport.commands.errors import UsageError
from homeport.commands.stacks import chosen, read, stack_folder
from homeport.output.text import Line
from homeport.specs import schemas
from homeport.specs.problems import HomeportError

FAILED = 1
"""Exit code: problems were found in what people wrote, or it could not be done."""

app = typer.Typer(
    help="A home on Kubernetes for machine-learning models. `pulumi up` deploys; of the commands here only `recover` "
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
    """Which file a schema is of."""

    MODEL = "model"
    ENVIRONMENT = "environment"
    MODELS = "models"


Names = Annotated[list[str] | None, typer.Argument(metavar="STACK", help="Names of stacks. Default: all.")]
Folder = Annotated[Path, typer.Option("--stacks", metavar="DIR", help="Folder that has a folder for each stack.")]
Selected = Annotated[
    str | None,
    typer.Option("--stack", "-s", metavar="NAME", help="Pulumi's name of the stack. Default: the selected one."),
]


def main() -> None:
    """Run the command."""
    app(prog_name="homeport")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"homeport {installed_version('homeport')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command(
    epilog="Examples: `homeport init fraud-score`, `homeport init flowers --from sklearn --stack dev`, "
    "`homeport init --notebook fraud-score.ipynb`."
)
def init(  # noqa: PLR0913, PLR0917  # one for each option
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Name of the model. Default: that of the notebook.")
    ] = None,
    kind: Annotated[
        beginning.Kind | None,
        typer.Option(
            "--from",
            help="What the model is: a Python function, a scikit-learn or ONNX file, or a Dockerfile. Default: function.",
        ),
    ] = None,
    notebook: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Notebook whose cells tagged `serve` become model.py, as often as this runs."
        ),
    ] = None,
    serve: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Function or class of the notebook to serve. Default: predict, or the last one."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make model.py anew from the notebook even if it was changed by hand.")
    ] = False,
    owner: Annotated[str, typer.Option(metavar="TEAM", help="Team that answers for the model.")] = beginning.OWNER,
    folder: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder to write. Default: ./NAME.")] = None,
    stack: Annotated[
        str | None,
        typer.Option(
            "--stack", "-s", metavar="NAME", help="Add the model to models.yaml of this stack. Default: none."
        ),
    ] = None,
    stacks: Folder = Path("stacks"),
) -> None:
    """Begin a model: write a folder that `homeport run` serves at once. What is there already is not overwritten.

    Exit codes: 0 written, 1 something is in the way or the notebook cannot be served, 2 the command was used wrongly.
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
        int, typer.Option(metavar="PORT", min=1, max=65533, help="Port on 127.0.0.1; metrics are two above.")
    ] = 8080,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="PACKAGE",
            help="Where homeport-server is installed from: a folder, a wheel or a requirement. Default: the version of "
            "this command.",
        ),
    ] = None,
) -> None:
    """Serve a model on this machine with the server, libraries, variables and limits that it has when deployed.

    Its libraries are installed once into a virtual environment in the cache. Ctrl-C answers what is in flight and ends it.
    Exit codes: that of the server, 1 the model cannot be served here, 2 the command was used wrongly.
    """
    # Imported here, for it needs what Windows does not have.
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
        typer.Option("--output", "-o", help="Format. Default: text; github in a run of GitHub Actions."),
    ] = None,
) -> None:
    """Validate every file of the stacks and show all problems at once.

    Exit codes: 0 all is right, 1 problems were found, 2 the command was used wrongly.
    """
    default = Output.GITHUB if os.environ.get("GITHUB_ACTIONS") == "true" else Output.TEXT
    shown = {Output.TEXT: checking.as_text, Output.JSON: checking.as_json, Output.GITHUB: checking.as_github}
    with _exit_codes():
        found = [checking.check(folder) for folder in chosen(names, stacks)]
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
        Path | None, typer.Option(metavar="DIR", help="Folder to write DIR/STACK/MODEL.yaml into. Default: rendered.")
    ] = None,
    stdout: Annotated[bool, typer.Option("--stdout", help="Print the objects and write no files.")] = False,
) -> None:
    """Write the objects that `pulumi up` creates as YAML, a file for each model. Needs no cluster and no credentials.

    Files of models that are no longer live are removed if homeport wrote them. With problems nothing is written.
    """
    if out and stdout:
        raise typer.BadParameter("cannot be combined with --stdout", param_hint="--out")
    with _exit_codes():
        found = read(chosen(names, stacks))
        if stdout:
            typer.echo(rendering.objects(found.values()), nl=False)
        else:
            _print(rendering.write_all(found, out or Path("rendered")))


@app.command(epilog="Examples: `homeport history iris --stack prod`, `homeport history iris --output json`.")
def history(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")],
    stack: Selected = None,
    stacks: Folder = Path("stacks"),
    output: Annotated[Table, typer.Option("--output", "-o", help="Format.")] = Table.TEXT,
) -> None:
    """List which version of a model was live when: time, author, commit, image digest and result, the newest first.

    Reads the stack's history from Pulumi's backend, and `models.yaml` at each commit from git. Exit codes: 0 listed,
    1 there is no such history, 2 the command was used wrongly.
    """
    with _exit_codes():
        found = histories.history(model, stack, stacks)
    _print(map(Line, [histories.as_json(found)] if output is Table.JSON else histories.text(found)))


@app.command(
    epilog="Examples: `homeport recover`, `homeport recover --stack prod --yes`, `homeport recover --stack dev --destroy`."
)
def recover(
    stack: Selected = None,
    destroy: Annotated[
        bool, typer.Option("--destroy", help="Bring the stack to nothing: finish a `pulumi destroy`.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do it without showing it first and without being asked.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Break the lock of an update of which it is not certain that it is gone.")
    ] = False,
) -> None:
    """Repair a stack whose `pulumi` was killed: state and cluster become what the files say.

    Harmless where nothing is wrong, and after an interruption of its own: run it again. Exit codes: 0 done, 1 another
    update runs, or Pulumi failed or was told not to go on, 2 the command was used wrongly.
    """
    if not yes and not sys.stdin.isatty():
        raise typer.BadParameter("required when standard input is not a terminal", param_hint="--yes")
    with _exit_codes():
        recovery.recover(stack, destroy=destroy, yes=yes, force=force, say=typer.echo)


@app.command(epilog="Example: `homeport schema model > model.schema.json`.")
def schema(kind: Annotated[Kind, typer.Argument(help="Which file the schema is of.")] = Kind.MODEL) -> None:
    """Print the JSON Schema of `model.yaml`, `environment.yaml` or `models.yaml`, for editors."""
    typer.echo(schemas.schema(kind), nl=False)


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Ends the command with a code and the reason, where it cannot go on."""
    try:
        yield
    except UsageError as error:
        raise typer.BadParameter(str(error), param_hint=error.parameter) from None
    except HomeportError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FAILED) from None


def _print(lines: Iterable[Line]) -> None:
    for line in lines:
        # `echo` takes colors away where the output is no terminal, but does not know https://no-color.org.
        plain = line.color is None or os.environ.get("NO_COLOR")
        typer.echo(line.text if plain else typer.style(line.text, fg=line.color), err=line.error)
