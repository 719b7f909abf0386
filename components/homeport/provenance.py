"""Provenance: which git commit last changed what people wrote."""

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from homeport import git
from homeport.catalogue.credentials import credential
from homeport.errors import HomeportError
from homeport.git import Commit, GitError, NoWorkingTreeError

UNKNOWN = "unknown"
DIRTY = "-dirty"
"""Marks a commit on which changes stand that are not committed yet."""

Lines = tuple[int, int]
"""First and last line, counted from 1."""

_SHALLOW = (
    "this clone is shallow, so its oldest commit seems to have changed everything; accepted: the whole history "
    "(git fetch --unshallow; in GitHub Actions fetch-depth: 0)"
)


class UnknownCommitError(HomeportError):
    """A commit is not in this clone."""


def last_commit(files: Sequence[str | Path], part: tuple[Path, Lines] | None = None) -> str:
    """The newest commit that changed any of the files (one at least), or the lines of the part of another file.

    Ends in `-dirty` if any of it differs from what is committed. `unknown` without git, outside a working tree, and where a
    shallow clone does not tell. A part is looked at by its lines, so that what others change in the same file is not taken
    for a change here.
    """
    commits = Commits(files, part[0] if part else None)
    return commits.last_commit(files, part[1] if part else None)


def revision(folder: Path, files: Sequence[str] = (), without: Sequence[str] = ()) -> str:
    """The commit that last changed any of the files of a folder; all, by default, but what matches patterns of git's.

    Ends in `-dirty` if any of it differs from what is committed. `unknown` without git, outside a working tree, and where a
    shallow clone does not tell.
    """
    folder = folder.resolve()
    try:
        root = git.working_tree(folder)
        specs = [git.at(folder / file, root) for file in files or ["."]]
        specs += [git.without(folder, root, pattern) for pattern in without]
        changed = git.changed(root, specs, ignored=bool(files))
        newest = git.newest(root, specs)
        name = newest.name if newest and newest.name not in git.ends(root) else UNKNOWN
    except GitError:
        return UNKNOWN
    return name + (DIRTY if changed else "")


def origin(folder: Path) -> str | None:
    """Address of the repository that a folder was cloned from, without anybody's credentials; None if there is none."""
    try:
        told = git.ask(git.working_tree(folder), "config", "--local", "--get", "remote.origin.url")
    except GitError:
        return None
    return without_credentials(told.decode(errors="replace").strip())


_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^/]*@)?(?P<host>[^/?#]*)(?P<path>[^?#]*)")
_AT_HOST = re.compile(r"(?P<user>[^/]*@)?(?P<host>[^/:@]+:)(?P<path>[^?#]*)")


def without_credentials(remote: str) -> str | None:
    """The address of a remote without user, password, query and fragment; None if it is in no form that is known.

    The forms are those of https://git-scm.com/docs/git-clone#_git_urls: with a scheme, `user@host:path`, and a folder.
    """
    if not remote.isprintable() or re.match(r"\w+::", remote):  # `transport::address` says what it pleases
        return None
    scheme, user, host, path = "", "", "", remote
    if found := _ADDRESS.match(remote):
        scheme, host, path = found["scheme"], found["host"], found["path"]
    elif found := _AT_HOST.match(remote):
        # The user is needed here. If it is `git`, as it is everywhere, it is not a secret.
        user, host, path = "git@" if found["user"] == "git@" else "", found["host"], found["path"]
    address = f"{scheme}{user}{host}{path}"
    return None if "@" in path or credential(address) else address


def content_at(file: Path, commit: str) -> bytes | None:
    """What was in a file at a commit, None if it was not there.

    Raises:
        UnknownCommitError: This clone has no such commit, or git cannot tell.
    """
    root = _root_with(commit, file.parent)
    try:
        return git.ask(root, "cat-file", "blob", f"{commit}:{file.resolve().relative_to(root).as_posix()}")
    except GitError:
        return None


def hash_at(path: Path, commit: str) -> str | None:
    """Git's hash of what a file or a folder was at a commit, None if it was not there, or is outside the working tree.

    Raises:
        UnknownCommitError: This clone has no such commit, or git cannot tell.
    """
    root, path = _root_with(commit, path.parent), path.resolve()
    try:
        inside = path.relative_to(root).as_posix() if path.is_relative_to(root) else ".."
        return git.ask(root, "rev-parse", "--verify", "--quiet", f"{commit}:{inside}").decode().strip()
    except GitError:
        return None


def _root_with(commit: str, folder: Path) -> Path:
    """The working tree of a folder, in whose repository there is a commit."""
    try:
        root = git.working_tree(folder)
        # The text was recorded by someone else: `HEAD~3` or an option is not a commit.
        if not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", commit):
            raise UnknownCommitError(commit)
        git.ask(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except GitError:
        raise UnknownCommitError(commit) from None
    return root


class Commits:
    """The commits behind some files, read once for all of them, because a git process for each file takes longest."""

    why_unknown: str | None = None
    """Why commits are unknown, if any are, and there is a working tree that could tell."""

    def __init__(self, files: Sequence[str | Path], divided: Path | None = None) -> None:
        """Ask about files (one at least), and about each line of another one that is `divided` into parts."""
        self._newest: dict[Path, Commit | None] = {}
        self._lines: list[Commit | None] = []
        self._changed: set[Path] = set()
        self._ends: frozenset[str] = frozenset()
        self._places: dict[str, tuple[Path, int]] = {}
        paths = [Path(file).resolve() for file in files]
        try:
            if divided:
                file = divided.resolve()
                root = git.working_tree(file.parent)
                self._lines = git.blame(root, file)
                self._order(root, self._lines)
            for root, inside in _by_root(paths).items():
                self._ask(root, inside)
        except GitError as error:
            self._newest = {}
            self.why_unknown = None if isinstance(error, NoWorkingTreeError) else str(error)
        if any(commit and commit.name in self._ends for commit in (*self._newest.values(), *self._lines)):
            self.why_unknown = _SHALLOW

    def _ask(self, root: Path, files: Sequence[Path]) -> None:
        specs = [git.at(file, root) for file in files]
        self._ends |= git.ends(root)
        self._changed |= git.changed(root, specs, ignored=True)
        with ThreadPoolExecutor() as pool:
            newest = pool.map(lambda spec: git.newest(root, [spec]), specs)
            self._newest |= dict(zip(files, newest, strict=True))
        self._order(root, [self._newest[file] for file in files])

    def _order(self, root: Path, commits: Iterable[Commit | None]) -> None:
        names = {commit.name for commit in commits if commit} - self._places.keys()
        self._places |= {name: (root, place) for name, place in git.places(root, names).items()} if names else {}

    def last_commit(self, files: Iterable[str | Path], lines: Lines | None = None) -> str:
        """What `last_commit` says of some of the files, and of lines of the divided one."""
        if not self._newest:
            return UNKNOWN
        paths = [Path(file).resolve() for file in files]
        commits = [self._newest[path] for path in paths]
        dirty = any(path in self._changed for path in paths)
        if lines:
            blamed = self._lines[lines[0] - 1 : lines[1]]
            dirty = dirty or not all(blamed)
            commits += blamed
        known = (commit for commit in commits if commit and commit.name in self._places)
        in_order = sorted(known, key=lambda commit: self._places[commit.name])
        # The last one of each repository. Only between repositories do dates decide, which authors choose.
        newest = max({self._places[commit.name][0]: commit for commit in in_order}.values(), default=None)
        if newest and newest.name in self._ends:
            newest = None  # what it seems to have changed may be older
        return (newest.name if newest else UNKNOWN) + (DIRTY if dirty else "")


def _by_root(files: Iterable[Path]) -> dict[Path, list[Path]]:
    """The files by their working trees: a submodule is one of its own."""
    found: dict[Path, list[Path]] = {}
    for file in files:
        found.setdefault(git.working_tree(file.parent), []).append(file)
    return found
