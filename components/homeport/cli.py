"""The `homeport` command: begin a model, serve it here, check what people wrote, render it and tell its history.

Results go to standard output, errors to standard error. Nothing here imports Pulumi: `pulumi up` deploys, and what is
told of a stack or done to it is asked of the `pulumi` command.
"""

import json
import os
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import asdict
from enum import StrEnum
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from homeport.commands import check as checking
from homeport.commands import history as histories
from homeport.commands import init as beginning
from homeport.commands import recover as recovery
from homeport.commands import render as rendering
from homeport.commands.pulumi_command import EngineError, stack_name
from homeport.manifests import manifests
from homeport.output.yaml import dump_all
from homeport.specs import schemas
from homeport.specs.documents import parse
from homeport.specs.model import Model
from homeport.specs.problems import SpecError
from homeport.stack import MODELS_FILE, Stack

FAILED = 1
"""Problems were found in what people wrote."""

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
    epilog="Examples: `homeport init fraud-score`, `homeport init flowers --from sklearn --stack stacks/dev`, "
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
        Path | None, typer.Option(metavar="DIR", help="Add the model to models.yaml of this stack, such as stacks/dev.")
    ] = None,
) -> None:
    """Begin a model: write a folder that `homeport run` serves at once. What is there already is not overwritten.

    Exit codes: 0 written, 1 something is in the way or the notebook cannot be served, 2 the command was used wrongly.
    """
    if notebook and kind:
        raise typer.BadParameter("found it together with --notebook, accepted: one of them", param_hint="--from")
    if not notebook and (serve or force):
        hint = "--serve" if serve else "--force"
        raise typer.BadParameter("found it without --notebook, accepted: both", param_hint=hint)
    if not name and not notebook:
        raise typer.BadParameter("missing, accepted: name of the model", param_hint="NAME")
    name = name or beginning.default_name(notebook or Path())
    for hint, field, value in (("NAME", "name", name), ("--owner", "owner", owner)):
        _accept(hint, field, value)
    folder = folder or Path(name)
    target = beginning.Target(name, owner, folder)
    try:
        live = beginning.live_models(name, folder, stack) if stack else None
        if notebook:
            made = beginning.from_notebook(notebook, target, entry=serve, force=force)
        else:
            made = beginning.scaffold(kind or beginning.Kind.FUNCTION, target)
        _lines(f"{path}: written" for path in made.written)
        for line in made.hints:
            typer.echo(_colored(line, "yellow"), err=True)
    except (beginning.InitError, SpecError) as error:
        _fail([str(error)])
    if stack and live:
        (stack / MODELS_FILE).write_text(live, encoding="utf-8")
        typer.echo(f"{stack / MODELS_FILE}: {name} added")
    if kind is not beginning.Kind.DOCKER:
        typer.echo(f"\nServe it here:\n  homeport run {folder}")
    if not stack:
        place = Path("stacks", "dev")
        entry = textwrap.indent(beginning.live_entry(name, folder, place), "  ")
        typer.echo(f"\nMake it live, below `models` in {place / MODELS_FILE}:\n{entry}", nl=False)


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

    Its libraries are installed once into an environment in the cache. Ctrl-C answers what is in flight and ends it.
    Exit codes: that of the server, 1 the model cannot be served here, 2 the command was used wrongly.
    """
    # Imported here, for it needs what Windows does not have.
    from homeport.commands import run as running  # noqa: PLC0415
    from homeport.commands import run_environment  # noqa: PLC0415

    try:
        serving = running.prepare(folder, port, server or run_environment.server_package())
    except (SpecError, running.RunError, run_environment.EnvironmentFailedError) as error:
        _fail([str(error)])
    _lines(serving.lines)
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
    found = [checking.check(folder) for folder in _folders(names, stacks)]
    match output or (Output.GITHUB if os.environ.get("GITHUB_ACTIONS") == "true" else Output.TEXT):
        case Output.JSON:
            typer.echo(checking.as_json(found))
        case Output.GITHUB:
            _lines(checking.github(found))
        case Output.TEXT:
            for problem, where in checking.by_problem(found).items():
                typer.echo(_colored(checking.shown(problem, where), "red"))
            for stack in found:
                typer.echo(_colored(checking.summary(stack), None if stack.problems else "green"))
                _lines(_colored(line, "yellow") for line in checking.relaxations(stack))
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
        raise typer.BadParameter("found it together with --stdout, accepted: one of them", param_hint="--out")
    read = _read(_folders(names, stacks))
    if stdout:
        objects = (each for stack in read.values() for release in stack.releases for each in manifests(release))
        typer.echo(dump_all(objects), nl=False)
        return
    for name, stack in read.items():
        folder = (out or Path("rendered")) / name
        try:
            done = rendering.write(rendering.render(stack), folder)
        except rendering.ForeignFileError as error:
            _fail([str(error)])
        except OSError as error:
            raise typer.BadParameter(f"cannot write {error.filename}: {error.strerror}", param_hint="--out") from None
        counts = {"written": done.written, "unchanged": done.unchanged, "removed": done.removed}
        typer.echo(f"{folder}: {', '.join(f'{len(paths)} {what}' for what, paths in counts.items())}")


@app.command(epilog="Examples: `homeport history iris --stack prod`, `homeport history iris --output json`.")
def history(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")],
    stack: Annotated[
        str | None, typer.Option(metavar="STACK", help="Pulumi's name of the stack. Default: the selected one.")
    ] = None,
    stacks: Folder = Path("stacks"),
    output: Annotated[Table, typer.Option("--output", "-o", help="Format.")] = Table.TEXT,
) -> None:
    """List which version of a model was live when: time, author, commit, image digest and result, the newest first.

    Reads the stack's history from Pulumi's backend, and `models.yaml` at each commit from git. Exit codes: 0 listed,
    1 there is no such history, 2 the command was used wrongly.
    """
    try:
        name = stack_name(stack)
        read = histories.at_commits(stacks / name.rpartition("/")[2])
        found = histories.events(model, histories.updates(name), read)
        found = histories.with_built(model, found, histories.outputs(name))
    except (EngineError, histories.HistoryError) as error:
        _fail([str(error)])
    if output is Table.JSON:
        typer.echo(json.dumps([asdict(event) for event in found], indent=2))
    else:
        _lines(histories.text(found))


@app.command(epilog="Examples: `homeport recover`, `homeport recover prod --yes`, `homeport recover dev --destroy`.")
def recover(
    stack: Annotated[
        str | None, typer.Argument(metavar="STACK", help="Pulumi's name of the stack. Default: the selected one.")
    ] = None,
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
        raise typer.BadParameter("found none and nobody to ask, accepted: --yes, or a terminal", param_hint="--yes")
    try:
        recovery.recover(stack, destroy=destroy, yes=yes, force=force, say=typer.echo)
    except (EngineError, recovery.RecoveryError) as error:
        _fail([str(error)])


@app.command(epilog="Example: `homeport schema model > model.schema.json`.")
def schema(kind: Annotated[Kind, typer.Argument(help="Which file the schema is of.")] = Kind.MODEL) -> None:
    """Print the JSON Schema of `model.yaml`, `environment.yaml` or `models.yaml`, for editors."""
    typer.echo(schemas.schema(kind), nl=False)


def _accept(hint: str, field: str, value: str) -> None:
    """End unless a field of `model.yaml` may have a value."""
    content = {"name": "any", "owner": "any", "image": "registry.example.com/any"} | {field: value}
    try:
        parse(Model, content, field)
    except SpecError as error:
        raise typer.BadParameter(error.problems[0].message, param_hint=hint) from None


def _folders(names: list[str] | None, stacks: Path) -> list[Path]:
    found = {folder.name: folder for folder in checking.find_stacks(stacks)}
    if not found:
        raise typer.BadParameter(
            f"found no {stacks}/*/environment.yaml, accepted: a folder of stacks", param_hint="--stacks"
        )
    for name in names or ():
        if name not in found:
            raise typer.BadParameter(f'found "{name}", accepted: {", ".join(found)} (in {stacks})', param_hint="STACK")
    return [found[name] for name in dict.fromkeys(names or found)]


def _read(folders: list[Path]) -> dict[str, Stack]:
    """The stacks, or an end with all problems of all of them."""
    stacks: dict[str, Stack] = {}
    failed: list[checking.Checked] = []
    for folder in folders:
        try:
            stacks[folder.name] = Stack.read(folder)
        except SpecError as error:
            failed.append(checking.Checked(folder.name, error.problems))
    if failed:
        _fail(checking.shown(problem, where) for problem, where in checking.by_problem(failed).items())
    return stacks


def _fail(lines: Iterable[str]) -> NoReturn:
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(FAILED)


def _lines(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def _colored(line: str, color: str | None) -> str:
    # `echo` takes colors away where the output is no terminal, but does not know https://no-color.org.
    return line if color is None or os.environ.get("NO_COLOR") else typer.style(line, fg=color)
