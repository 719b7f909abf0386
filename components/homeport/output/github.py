"""Workflow commands of GitHub Actions, with which a run shows errors at their lines.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message
"""

import os
from pathlib import Path

from homeport.output.text import Line, visible


def error(message: str, *, title: str, file: Path | None = None, line: int | None = None) -> Line:
    """An annotation of a line of a file."""
    place = {"file": file and _in_workspace(file), "line": line, "title": title}
    properties = ",".join(f"{key}={_property(str(value))}" for key, value in place.items() if value is not None)
    return Line(f"::error {properties}::{_escaped(message)}", made=True)


def notice(message: str) -> Line:
    """An annotation of the run."""
    return Line(f"::notice::{_escaped(message)}", made=True)


def _in_workspace(path: Path) -> str:
    """The path relative to the root of the repository, which GitHub needs to find the line."""
    root = os.environ.get("GITHUB_WORKSPACE")
    return os.path.relpath(path.resolve(), root) if root else str(path)


def _property(value: str) -> str:
    return _escaped(value).replace(":", "%3A").replace(",", "%2C")


def _escaped(value: str) -> str:
    return visible(value).replace("%", "%25")
