"""The server's types, checked with the libraries of every kind of model."""

import subprocess
import sys
from pathlib import Path

from sandbox.image import SERVER


def test_types_are_strict_and_sound(libraries: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "mypy",
        f"--python-executable={libraries}",
        "--strict",
        "--package=homeport_server",
    ]
    done = subprocess.run(
        [*command, f"--config-file={SERVER.parent / 'pyproject.toml'}"],
        cwd=SERVER.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
