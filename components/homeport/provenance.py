"""Provenance: which git commit last changed what people wrote."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

UNKNOWN = "unknown"
DIRTY = "-dirty"
"""Marks a commit on which changes stand that are not committed yet."""

Lines = tuple[int, int]
"""First and last line, counted from 1."""


def last_commit(files: Sequence[str | Path], part: tuple[Path, Lines] | None = None) -> str:
    """The newest commit that changed any of the files (one at least), or the lines of the part of another file.

    Ends in `-dirty` if any of it differs from what is committed. `unknown` without git or outside a repository.
    A part is looked at by its lines, so that what others change in the same file is not taken for a change here.
    """
    folder = Path(files[0]).resolve().parent
    paths = [str(Path(file).resolve()) for file in files]
    try:
        commits = _git(folder, "log", "-1", "--format=%ct %H", "--", *paths).splitlines()
        dirty = bool(_git(folder, "status", "--porcelain", "--", *paths).strip())
        if part:
            blamed = _blamed(folder, *part)
            dirty = dirty or not all(blamed)
            commits += blamed
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
    newest = max((commit for commit in commits if commit), key=_time, default="0 " + UNKNOWN).split()[1]
    return newest + DIRTY if dirty else newest


def _blamed(folder: Path, file: Path, lines: Lines) -> list[str]:
    """Time and hash of the commit behind each line; empty for a line that is not committed."""
    blame = _git(folder, "blame", "--line-porcelain", "-L", "{},{}".format(*lines), "--", str(file.resolve()))
    commits = re.findall(r"^([0-9a-f]{40}) \d+ \d+(?: \d+)?$.*?^committer-time (\d+)$", blame, re.DOTALL | re.MULTILINE)
    return [f"{time} {commit}" if commit.strip("0") else "" for commit, time in commits]


def _time(commit: str) -> int:
    return int(commit.partition(" ")[0])


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True).stdout
