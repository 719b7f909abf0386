"""Provenance: which git commit last changed what people wrote."""

import re
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
    commits = Commits(files, part[0] if part else None)
    return commits.last_commit(files, part[1] if part else None)


def revision(folder: Path, paths: Sequence[str]) -> str:
    """The commit that last changed any of the paths in a folder, which may be git's pathspecs.

    Ends in `-dirty` if any of it differs from what is committed. `unknown` without git or outside a repository.
    """
    try:
        commit = _git(folder, "log", "-1", "--format=%H", "--", *paths).strip()
        changed = _git(folder, "status", "--porcelain", "--untracked-files=all", "--", *paths)
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
    return (commit or UNKNOWN) + (DIRTY if changed else "")


def origin(folder: Path) -> str | None:
    """Address of the repository that a folder was cloned from, without anybody's credentials; None if there is none."""
    try:
        address = _git(folder, "remote", "get-url", "origin").strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return re.sub(r"^(\w+://)[^/@]*@", r"\1", address)


class Commits:
    """What git tells of some files, asked once for all of them: a process of git for each question takes longest."""

    def __init__(self, files: Sequence[str | Path], divided: Path | None = None) -> None:
        """Ask about files (one at least), and about each line of another one that is `divided` into parts."""
        paths = [Path(file).resolve() for file in files]
        folder = paths[0].parent
        self._known = True
        try:
            root = Path(_git(folder, "rev-parse", "--show-toplevel").removesuffix("\n"))
            status = _git(folder, "status", "--porcelain", "-z", "--untracked-files=all", "--", *map(str, paths))
            # Two letters and a space precede each path.
            self._changed = {root / entry[3:] for entry in status.split("\0")}
            with ThreadPoolExecutor() as pool:
                newest = pool.map(lambda path: _git(folder, "log", "-1", "--format=%ct %H", "--", str(path)), paths)
                self._newest = {path: commit.strip() for path, commit in zip(paths, newest, strict=True)}
            self._lines = _blamed(folder, divided) if divided else []
        except (OSError, subprocess.CalledProcessError):
            self._known = False

    def last_commit(self, files: Iterable[str | Path], lines: Lines | None = None) -> str:
        """What `last_commit` says of some of the files, and of lines of the divided one."""
        if not self._known:
            return UNKNOWN
        paths = [Path(file).resolve() for file in files]
        commits = [self._newest[path] for path in paths]
        dirty = any(path in self._changed for path in paths)
        if lines:
            blamed = self._lines[lines[0] - 1 : lines[1]]
            dirty = dirty or not all(blamed)
            commits += blamed
        newest = max((commit for commit in commits if commit), key=_time, default="0 " + UNKNOWN).split()[1]
        return newest + DIRTY if dirty else newest


def _blamed(folder: Path, file: Path) -> list[str]:
    """Time and hash of the commit behind each line; empty for a line that is not committed."""
    blame = _git(folder, "blame", "--line-porcelain", "--", str(file.resolve()))
    commits = re.findall(r"^([0-9a-f]{40}) \d+ \d+(?: \d+)?$.*?^committer-time (\d+)$", blame, re.DOTALL | re.MULTILINE)
    return [f"{time} {commit}" if commit.strip("0") else "" for commit, time in commits]


def _time(commit: str) -> int:
    return int(commit.partition(" ")[0])


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True).stdout
