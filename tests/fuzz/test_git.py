"""Whatever files a commit brings, `homeport check` runs no command that they name, and ends."""

import os
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from homeport.commands.check import as_text, check
from tests.fuzz.fuzzing import fuzzed

FILES = {
    "stacks/prod/environment.yaml": "cluster: {identifier: prod}\nimages: {registry: r.example.com, bases: {py: 'r.example.com/py:1'}}\n",
    "stacks/prod/models.yaml": 'models:\n  iris: {spec: ../../model/model.yaml, stable: {version: "1"}}\n',
    "model/model.yaml": "name: iris\nowner: ds\nimage: registry.example.com/iris\n",
}
GIT = [
    "git",
    "-c",
    "user.name=A",
    "-c",
    "user.email=a@example.com",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
]
MAX_SECONDS = 20
WORDS = [
    *(
        b"HEAD|",
        b"config|",
        b"objects/x|",
        b"refs/x|",
        b"commondir|",
        b"gitdir|",
        b"index|",
        b"hooks/pre-commit|",
        b"info/",
    ),
    *(
        b"[core]\\n",
        b"[include]\\n\\tpath = ",
        b"[alias]\\n",
        b"fsmonitor = TRAP\\n",
        b"worktree = /\\n",
        b"bare = true\\n",
    ),
    *(
        b"\n.gitattributes|* filter=x\\n",
        b"\nstacks/HEAD|ref: refs/heads/main\\n",
        b"\nmodel/",
        b"TRAP",
        b"gitdir: ../x",
    ),
]


def layout(data: bytes, trap: Path) -> Iterator[tuple[str, bytes]]:
    """Files by their paths: a line each, `path|content`. TRAP is a command, which leaves a file if it runs."""
    for line in data.split(b"\n"):
        name, _, content = line.partition(b"|")
        parts = os.fsdecode(name).split("/")
        # What no commit can contain, or leads out of the checkout.
        if "\0" in parts[-1] or any(part in {"", ".", ".."} or part.lower() == ".git" for part in parts):
            continue
        told = content.replace(b"TRAP", f"touch {trap}".encode()).replace(b"\\n", b"\n").replace(b"\\t", b"\t")
        yield os.fsdecode(name), told


def written(root: Path, files: Iterable[tuple[str, bytes]]) -> None:
    for name, content in files:
        # A name that no file can have, or that another one has taken, brings nothing.
        with suppress(OSError, ValueError):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)


@fuzzed("git", WORDS, examples=10)
def test_no_file_of_a_commit_runs_a_command(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    scratch = tmp_path_factory.mktemp("layout")
    root, trap = scratch / "checkout", scratch / "trap"
    written(root, [(name, content.encode()) for name, content in FILES.items()])
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=x"]):
        subprocess.run([*GIT, f"--git-dir={root}/.git", f"--work-tree={root}", *arguments], check=True, cwd=root)
    written(root, layout(data, trap))
    begun = time.monotonic()
    found = check([root / "stacks" / "prod"])
    assert time.monotonic() - begun < MAX_SECONDS
    assert not trap.exists()
    assert all(line.printed.isprintable() for line in as_text(found))
