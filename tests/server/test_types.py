"""The server's types, checked with the libraries that the image has."""

import subprocess
import sys

from sandbox.image import SERVER, environment
from sandbox.paths import cache
from tests.server.conftest import IRIS


def test_types_are_strict_and_sound() -> None:
    python = environment(IRIS / "requirements.txt", cache(), print)
    command = [sys.executable, "-m", "mypy", f"--python-executable={python}", "--strict", "--package=homeport_server"]
    done = subprocess.run(
        [*command, f"--config-file={SERVER.parent / 'pyproject.toml'}"],
        cwd=SERVER.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
