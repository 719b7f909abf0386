"""Ignore files: whatever a line says, no build sees what git keeps, and the files are told or the line is."""

from pathlib import Path

import pytest

from homeport.images.build_context import FolderError, context
from homeport.specs.fields import RESERVED
from homeport.specs.model import Build
from tests.fuzz.fuzzing import fuzzed

FILES = [
    "model.py",
    "data/a.csv",
    "data/keep.csv",
    ".git/config",
    "sub/.git",
    "a/b/.GIT/config",
    ".homeport/x",
    "[x]/!",
]
WORDS = [
    b"!",
    b"!**/.git\n",
    b".git",
    b"**",
    b"*",
    b"?",
    b"/",
    b"..",
    b"\\",
    b"[",
    b"]",
    b"[^a]",
    b"[a-z]",
    b"#",
    b" ",
    b"\n",
    b"\r\n",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folder")
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@fuzzed("dockerignore", WORDS)
def test_no_ignore_file_brings_back_what_git_keeps(data: bytes, folder: Path) -> None:
    (folder / ".dockerignore").write_bytes(data)
    found, told = set(), "accepted: "
    try:
        found = {name for name, _ in context(Build(dockerfile="model.py"), folder)}
    except FolderError as error:
        told = str(error)
    assert "accepted: " in told
    assert told.isprintable()
    assert found <= {*FILES, ".dockerignore"}
    assert not any(RESERVED & set(name.lower().split("/")) for name in found)
