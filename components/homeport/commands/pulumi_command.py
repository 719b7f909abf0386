"""The `pulumi` command: what commands here ask of it, because they do not import Pulumi."""

import json
import subprocess
from typing import Any

from homeport.commands.errors import CommandError


class PulumiError(CommandError):
    """There is no pulumi, or it said no."""


def ask(*arguments: str, stdin: str | None = None) -> str:
    """What a command of pulumi prints.

    Raises:
        PulumiError: There is no pulumi, or it fails.
    """
    done = _run([*arguments, "--non-interactive"], input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        raise PulumiError(f"pulumi {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return str(done.stdout)


def show(*arguments: str) -> None:
    """Let a command of pulumi talk to the user.

    Raises:
        PulumiError: There is no pulumi, or it fails, or the user said no.
    """
    done = _run(arguments)
    if done.returncode != 0:
        raise PulumiError(f"pulumi {' '.join(arguments)} failed with exit code {done.returncode}")


def stack_name(stack: str | None) -> str:
    """Name of a stack as Pulumi says it; None: the selected one.

    Raises:
        PulumiError: None is selected.
    """
    return stack or ask("stack", "--show-name").strip()


def state(stack: str) -> Any:
    """The state of a stack, its secrets encrypted as they are in the backend.

    Raises:
        PulumiError: There is no such stack.
    """
    return json.loads(ask("stack", "export", f"--stack={stack}"))


def _run(arguments: Any, **options: Any) -> "subprocess.CompletedProcess[Any]":
    try:
        return subprocess.run(["pulumi", *arguments], check=False, **options)
    except FileNotFoundError:
        raise PulumiError("found no pulumi on PATH: install the version that deploys the stack") from None
