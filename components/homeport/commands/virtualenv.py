"""Makes the virtual environment of a model with its requirements and the server, and keeps it in the cache."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from homeport.commands.errors import CommandError
from homeport.files import cache
from homeport.images.requirements import Requirements
from homeport.lock import locked

SERVER_VARIABLE = "HOMEPORT_SERVER_PACKAGE"
"""Overrides the server's package: a folder, a wheel or a requirement."""

UNUSED_DAYS = 30
"""A virtual environment that has not been used for this many days is removed when another is made."""

_CHECKOUT = Path(__file__).resolve().parents[2] / "homeport_server"
_RECIPE = 1
"""Increased when this module makes a different virtual environment from the same inputs."""


class VirtualenvError(CommandError):
    """The virtual environment cannot be made. The text says why and what to do."""


def server_package() -> str:
    """Where the server comes from: the variable, otherwise the checkout that homeport runs in, otherwise PyPI."""
    if own := os.environ.get(SERVER_VARIABLE):
        return own
    return str(_CHECKOUT) if (_CHECKOUT / "pyproject.toml").is_file() else f"homeport-server=={version('homeport')}"


def virtualenv(requirements: Requirements, python: str, server: str) -> Path:
    """The Python of a virtual environment, which is made if it is not in the cache. Progress goes to standard error.

    `python` is the version, such as 3.11; `server` is a folder, a wheel or a requirement.

    Raises:
        VirtualenvError: A tool failed, or there is no Python of that version.
    """
    package = Path(server)
    source = _content(package) if package.exists() else server
    parts = (str(_RECIPE), python, platform.system(), platform.machine(), source, requirements.text)
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    place = cache() / "virtualenvs" / key
    complete = place / "complete"
    with locked(place.with_suffix(".lock")):
        if not complete.exists():
            shutil.rmtree(place, ignore_errors=True)
            wanted = str(package.resolve()) if package.exists() else server
            _forget(place.parent)
            _make(place, requirements, python, wanted)
        complete.touch()
    return place / "bin" / "python"


def _forget(virtualenvs: Path) -> None:
    """Remove unused virtual environments, because each change of the requirements leaves one behind."""
    for complete in virtualenvs.glob("*/complete"):
        if time.time() - complete.stat().st_mtime > UNUSED_DAYS * 24 * 60 * 60:
            shutil.rmtree(complete.parent)


def _make(place: Path, requirements: Requirements, python: str, server: str) -> None:
    interpreter = str(place / "bin" / "python")
    if uv := shutil.which("uv"):
        _run([uv, "venv", "--quiet", f"--python={python}", str(place)])
        install = [uv, "pip", "install", f"--python={interpreter}"]
    else:
        _run([_interpreter(python), "-m", "venv", str(place)])
        install = [interpreter, "-m", "pip", "install", "--progress-bar=on"]
    stated, constraints = place / "requirements.txt", place / "constraints.txt"
    stated.write_text(requirements.text, encoding="ascii")
    if uv or not requirements.hashed:
        # Both at once, so that the installer finds versions that fit both.
        _run([*install, "--requirement", str(stated), server])
    else:
        # If one requirement has a hash, pip requires a hash for everything.
        _run([*install, "--requirement", str(stated)])
        constraints.write_text(requirements.constraints, encoding="ascii")
        _run([*install, "--constraint", str(constraints), server])


def _interpreter(python: str) -> str:
    if sys.version_info[:2] == tuple(map(int, python.split("."))):
        return sys.executable
    if found := shutil.which(f"python{python}"):
        return found
    raise VirtualenvError(
        f"found no python{python} on PATH: install it, or install uv (https://docs.astral.sh/uv), which downloads it"
    )


def _run(command: list[str]) -> None:
    """Run a tool. Its output goes to standard error, because standard output is for homeport's results."""
    done = subprocess.run(command, stdout=sys.stderr.fileno(), check=False)
    if done.returncode != 0:
        raise VirtualenvError(
            f"{' '.join(command)}: failed with exit code {done.returncode}; its output above says why"
        )


def _content(path: Path) -> str:
    """The digest of a file, or of the files in a folder from which a package is made."""
    paths = [path] if path.is_file() else sorted([*path.rglob("*.py"), *path.rglob("*.toml")])
    digest = hashlib.sha256()
    for each in paths:
        digest.update(f"{each.relative_to(path)}\0".encode() + each.read_bytes() + b"\0")
    return digest.hexdigest()
