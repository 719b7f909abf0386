"""Decides which Pulumi is used: the user's own, if it is suitable and wanted, or the one that the sandbox builds."""

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import typer

from sandbox import build, estimate
from sandbox.errors import SandboxError
from sandbox.parts import ENGINE
from sandbox.paths import cache
from sandbox.progress import Progress

VARIABLE = "HOMEPORT_PULUMI"

# The first version whose engine runs what the library uses; the library requires the same version of the SDK.
OLDEST_USABLE = (3, 219)
_FIRST_UNKNOWN = (4, 0)
_LANGUAGE_HOST = "pulumi-language-python"

Ask = Callable[[str], bool]


class Choice(StrEnum):
    """Whose Pulumi."""

    OWN = "own"
    BUILT = "built"


@dataclass(frozen=True)
class Installed:
    """A `pulumi` that the user installed."""

    path: str
    version: str
    """Its version as it prints it, such as `v3.259.0`."""
    unfit: str = ""
    """Why it cannot run what the library uses; empty if it can."""


def parse_version(text: str) -> tuple[int, int] | None:
    """The version in the output of `pulumi version`, or None if there is none."""
    match = re.match(r"v?(\d+)\.(\d+)\.", text.strip())
    return (int(match[1]), int(match[2])) if match else None


def find() -> Installed | None:
    """The first `pulumi` on PATH that the sandbox did not build."""
    ours = str(cache())
    path = os.pathsep.join(entry for entry in os.get_exec_path() if not entry.startswith(ours))
    found = shutil.which("pulumi", path=path)
    return _look_at(found, path) if found else None


@functools.cache
def _look_at(pulumi: str, path: str) -> Installed:
    environment = os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"}
    done = subprocess.run([pulumi, "version"], capture_output=True, text=True, check=False, env=environment)
    said = done.stdout.strip()
    version = parse_version(said)
    beside = str(Path(pulumi).resolve().parent)
    if version is None:
        unfit = "it does not print its version"
    elif not OLDEST_USABLE <= version < _FIRST_UNKNOWN:
        unfit = f"{OLDEST_USABLE[0]}.{OLDEST_USABLE[1]} or newer, and older than {_FIRST_UNKNOWN[0]}, is needed"
    elif shutil.which(_LANGUAGE_HOST, path=os.pathsep.join([beside, path])) is None:
        unfit = f"{_LANGUAGE_HOST}, which a release has, is not beside it"
    else:
        unfit = ""
    return Installed(pulumi, said, unfit)


def used() -> Installed | None:
    """The user's own Pulumi, if it is used. By default, a suitable one is used.

    Raises:
        SandboxError: The variable has an invalid value, or asks for a Pulumi that is missing or not suitable.
    """
    found = find()
    if _decided() is Choice.BUILT:
        return None
    if found is not None and not found.unfit:
        return found
    if os.environ.get(VARIABLE) == Choice.OWN:
        why = f"{found.path} is {found.version}: {found.unfit}" if found else "no `pulumi` was found on PATH"
        raise SandboxError(f"{VARIABLE}={Choice.OWN}, but {why}; {VARIABLE}={Choice.BUILT} builds one")
    return None


def settle(progress: Progress, ask: Ask | None) -> None:
    """Report which Pulumi is used if the user has one, and ask the user if that is not decided yet.

    Args:
        progress: Reports the decision.
        ask: Asks the user a question; returns None if no one answers. The answer is kept in the cache.
    """
    found = find()
    if found is None:
        return
    if _decided() is None and not found.unfit and ask:
        cost = sum(part.cost.seconds for part in build.missing(ENGINE) if part.cost)
        instead = (
            f"building one, which takes {estimate.roughly(cost / estimate.processors())}"
            if cost
            else "the one built here"
        )
        yes = ask(
            f"Use your own Pulumi ({found.path}, {found.version}; it downloads its providers) instead of {instead}?"
        )
        _answer().parent.mkdir(parents=True, exist_ok=True)
        _answer().write_text(Choice.OWN if yes else Choice.BUILT)
    if used():
        progress.say(f"using {found.path}, {found.version} ({VARIABLE}={Choice.BUILT} builds one instead)")
    elif build.missing(ENGINE):
        why = f": {found.unfit}" if found.unfit else f" ({VARIABLE}={Choice.OWN} uses it)"
        progress.say(f"not using {found.path}, {found.version}{why}")


def on_terminal() -> Ask | None:
    """Ask the user, if there is a terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return lambda question: typer.confirm(question, default=True, err=True)


def _decided() -> Choice | None:
    said = os.environ.get(VARIABLE) or (_answer().read_text().strip() if _answer().exists() else "")
    if not said:
        return None
    try:
        return Choice(said)
    except ValueError:
        accepted = " or ".join(Choice)
        raise SandboxError(f"{VARIABLE}: found {said!r}, accepted: {accepted}") from None


def _answer() -> Path:
    return cache() / "pulumi-choice"
