"""Runs the `pulumi` command, because commands do not import Pulumi."""

import json
import os
import subprocess
from typing import Any

from homeport.commands.errors import CommandError


class PulumiError(CommandError):
    """The `pulumi` command is missing, or it failed."""


def ask(*arguments: str, stdin: str | None = None) -> str:
    """Run a pulumi command and return its output.

    Raises:
        PulumiError: The `pulumi` command is missing, or it failed.
    """
    done = _run([*arguments, "--non-interactive"], input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        told = done.stderr.strip() or done.stdout.strip()
        first, *others = told.splitlines() or [""]
        # A program may have said it, so none of it stands where homeport's own lines begin.
        raise PulumiError(f"pulumi {' '.join(arguments)}: {first}", *(f"  {line}" for line in others))
    return str(done.stdout)


def show(*arguments: str, **variables: str) -> None:
    """Run a pulumi command that talks to the user, with further variables.

    Raises:
        PulumiError: The `pulumi` command is missing, it failed, or the user declined.
    """
    done = _run(arguments, env={**os.environ, **variables})
    if done.returncode != 0:
        raise PulumiError(f"pulumi {' '.join(arguments)} failed with exit code {done.returncode}")


def stack_name(stack: str | None) -> str:
    """Name of a stack in Pulumi; None: the selected stack.

    Raises:
        PulumiError: No stack is selected.
    """
    return stack or ask("stack", "--show-name").strip()


def state(stack: str) -> Any:
    """The state of a stack. Its secrets are encrypted, as in the backend.

    Raises:
        PulumiError: There is no such stack.
    """
    return json.loads(ask("stack", "export", f"--stack={stack}"))


def _run(arguments: Any, **options: Any) -> "subprocess.CompletedProcess[Any]":
    try:
        return subprocess.run(["pulumi", *arguments], check=False, **options)
    except FileNotFoundError:
        raise PulumiError("found no pulumi on PATH: install the version that deploys the stack") from None
