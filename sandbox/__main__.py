"""`python -m sandbox`: start, stop and use the embedded Pulumi engine and Kubernetes cluster."""

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from sandbox import Sandbox, SandboxError, jobs, own_pulumi
from sandbox.progress import Progress

_FAILED = 1
_NOT_RUNNING = 3

app = typer.Typer(
    help="A pinned Pulumi engine and a real one-node Kubernetes cluster, for users who have neither.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Output(StrEnum):
    """How results are printed."""

    TEXT = "text"
    JSON = "json"


def _valid(name: str) -> str:
    try:
        return Sandbox(name).name
    except SandboxError as error:
        raise typer.BadParameter(str(error)) from error


Name = Annotated[
    str,
    typer.Option(
        callback=_valid,
        help="Name of the sandbox. Sandboxes with different names share nothing and can run at the same time.",
    ),
]
As = Annotated[Output, typer.Option("--output", "-o", help="Output format.")]


@app.command()
def start(
    name: Name = "dev",
    fake_nodes: Annotated[
        bool,
        typer.Option(
            "--fake-nodes", help="Start kwok, which keeps nodes with the annotation kwok.x-k8s.io/node: fake Ready."
        ),
    ] = False,
) -> None:
    """Start the sandbox and return when it is ready. If it is running already, nothing happens.

    The first start builds everything from source, which takes several minutes; later starts take seconds.
    """
    with _errors():
        progress = Progress()
        own_pulumi.settle(progress, own_pulumi.on_terminal())
        Sandbox(name).start(progress, images=True, fake_nodes=fake_nodes)


@app.command()
def stop(name: Name = "dev") -> None:
    """Stop the sandbox and remove everything it made on this machine except the built programs and Pulumi's state."""
    with _errors():
        Sandbox(name).stop()


@app.command()
def status(name: Name = "dev", output: As = Output.TEXT) -> None:
    """Show whether the sandbox is running, and where its files are. Exit code 3: it is not running."""
    with _errors():
        found = Sandbox(name).status()
    if output is Output.JSON:
        typer.echo(json.dumps(asdict(found), indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        state = "[green]running[/green]" if found.running else "[red]not running[/red]"
        console.print(f"sandbox {found.name}: {state}")
        if any(found.components.values()):
            for component, alive in found.components.items():
                console.print(f"  {component:<26}{'[green]up[/green]' if alive else '[red]down[/red]'}")
            for component in found.not_started:
                console.print(f"  {component:<26}not started")
        for label, value in (("API server", found.server), ("kubeconfig", found.kubeconfig), ("logs", found.logs)):
            if found.server:
                console.print(f"  {label:<26}{escape(value or '')}")
        console.print(f"  {'Pulumi state':<26}{escape(found.state)}")
    if not found.running:
        raise typer.Exit(_NOT_RUNNING)


@app.command()
def env(name: Name = "dev", output: As = Output.TEXT) -> None:
    """Print environment variables for other tools. In a shell: eval "$(python -m sandbox env)"."""
    with _errors():
        sandbox = Sandbox(name)
        variables = sandbox.env()
        if not sandbox.status().running:
            # Not a failure, because Pulumi's state can be read without a cluster.
            typer.echo(f"sandbox {name} is not running; start it with: python -m sandbox start --name {name}", err=True)
    if output is Output.JSON:
        typer.echo(json.dumps(variables, indent=2))
    else:
        for variable, value in variables.items():
            typer.echo(f"export {variable}={shlex.quote(value)}")


@contextmanager
def _errors() -> Iterator[None]:
    """Show an error that the user can fix as a message, not as a traceback."""
    try:
        yield
    except SandboxError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]error:[/red] {escape(str(error))}")
        raise typer.Exit(_FAILED) from error
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    jobs.end_in_order()
    app(prog_name="python -m sandbox")
