"""Git, asked by one function: of a working tree that is found without it, and so that no file in it runs a command.

What a stranger's commit can bring is a folder of ordinary files that looks like a repository, attributes, submodules and
links. What the configuration of the checkout itself may name, filters and hooks among it, is not needed here and stays off.
"""

import hashlib
import os
import re
import shutil
import stat
import subprocess
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from homeport.errors import HomeportError

SETTINGS = {
    # A repository is never what git comes upon, only what it is told.
    "safe.bareRepository": "explicit",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.attributesFile": os.devnull,
    "core.sshCommand": "false",
    "credential.helper": "",
    "gpg.program": "false",
    "log.showSignature": "false",
    "protocol.allow": "never",
    "submodule.recurse": "false",
}
"""What git is told on its command line, where it wins over every file. See https://git-scm.com/docs/git-config."""

VARIABLES = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    # No transport at all, whatever a configuration allows; a partial clone would fetch what it lacks.
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
"""In place of every other variable of git's. See https://git-scm.com/docs/git#_environment_variables."""

_SHA1_DIGITS = 40
"""Hexadecimal digits of a hash, in a repository of the older kind; of the other kind there are 64."""

_LFS_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.+\n)*?oid sha256:([0-9a-f]{64})\n")
"""https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""
LFS_POINTER_BYTES = 1024
"""The most that a pointer has."""
_BINARY_WITHIN = 8000
"""Bytes among which git looks for a zero to tell binary files from text."""


class GitError(HomeportError):
    """Git cannot tell; the text says why."""


class NoWorkingTreeError(GitError):
    """A folder is in no working tree."""


@dataclass(frozen=True, order=True)
class Commit:
    """A commit; of different repositories, the ones that say so are later. Of one repository, `places` tells."""

    time: int
    """When it was committed, in seconds since 1970, as its author wants it."""
    name: str
    """Its hash."""


def working_tree(folder: Path) -> Path:
    """Root of the innermost working tree that a folder is in: it has the `.git` that no commit can contain.

    Raises:
        NoWorkingTreeError: There is none.
    """
    found = next((each for each in _around(folder) if _is_root(each)), None)
    if found is None:
        raise NoWorkingTreeError(f"{folder} is in no working tree of git")
    return found


def disguised(folders: Iterable[Path]) -> Iterator[Path]:
    """Those of the folders, and of the ones around them, that git takes for repositories though they are of ordinary files.

    On its way up to the root of the working tree git looks into each folder, and reads the configuration that it finds.
    """
    seen: set[Path] = set()
    for folder in folders:
        for each in _around(folder):
            if each in seen:
                break
            seen.add(each)
            if _is_repository(each):
                yield each
            if _is_root(each):
                break


def _around(folder: Path) -> list[Path]:
    here = folder.resolve()
    return [here, *here.parents]


def _is_root(folder: Path) -> bool:
    found = folder / ".git"
    return found.is_file() or _is_repository(found)


def _is_repository(folder: Path) -> bool:
    """Whether git takes a folder for a repository: https://git-scm.com/docs/gitrepository-layout."""
    parts = ("objects", "refs") if not (folder / "commondir").exists() else ("commondir",)
    return all(os.path.lexists(folder / part) for part in ("HEAD", *parts))


def ask(root: Path, *arguments: str, repository: Path | None = None) -> bytes:
    """What one of git's plumbing commands answers about a working tree, or of another repository.

    Raises:
        GitError: There is no git, or it cannot tell.
    """
    options = [option for name, value in SETTINGS.items() for option in ("-c", f"{name}={value}")]
    place = ["--no-pager", f"--git-dir={repository or root / '.git'}", f"--work-tree={root}"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(
            [_program(), *place, *options, *arguments],
            cwd=root,
            env=kept | VARIABLES,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        ).stdout
    except OSError as error:
        raise GitError(f"git cannot be run: {error}") from None
    except subprocess.CalledProcessError as error:
        raise GitError(f"git: {os.fsdecode(error.stderr).strip()}") from None


def _program() -> str:
    """Git's own path. A search at the time of the call would find a `git` in the checkout, where PATH or Windows says so."""
    folders = [folder for folder in os.get_exec_path() if Path(folder).is_absolute()]
    found = shutil.which("git", path=os.pathsep.join(folders))
    if not found or not Path(found).is_absolute():
        raise GitError("git cannot be run: no git on PATH")
    return found


def at(path: Path, root: Path) -> str:
    """The pathspec of just one file or folder."""
    return f":(top,literal){path.relative_to(root).as_posix()}" if path != root else ":(top)"


def without(folder: Path, root: Path, pattern: str) -> str:
    """The pathspec that leaves out of a folder what matches a pattern."""
    literally = "".join(re.sub(r"([*?[\\])", r"\\\1", part) + "/" for part in folder.relative_to(root).parts)
    return f":(top,exclude,glob){literally}{pattern}"


def newest(root: Path, specs: Sequence[str]) -> Commit | None:
    """The newest commit that changed anything at the pathspecs, None if there is none.

    Raises:
        GitError: Git cannot tell.
    """
    time, _, name = ask(root, "rev-list", "--max-count=1", "--timestamp", "HEAD", "--", *specs).decode().partition(" ")
    return Commit(int(time), name.strip()) if name else None


def places(root: Path, names: Collection[str]) -> dict[str, int]:
    """Where commits are in the history of HEAD: each is after all that it was made from, whatever its date says.

    Raises:
        GitError: Git cannot tell.
    """
    told = ask(root, "rev-list", "--topo-order", "--reverse", "HEAD").decode().split()
    return {name: place for place, name in enumerate(told) if name in names}


def ends(root: Path) -> frozenset[str]:
    """The oldest commits of a shallow clone, each of which seems to have made all that there is.

    Raises:
        GitError: Git cannot tell.
    """
    file = root / os.fsdecode(ask(root, "rev-parse", "--git-path", "shallow").removesuffix(b"\n"))
    return frozenset(file.read_text(encoding="ascii").split()) if file.is_file() else frozenset()


def blame(root: Path, file: Path) -> list[Commit | None]:
    """The commit behind each line of a file, as it is in the working tree; None of a line that is not committed.

    Raises:
        GitError: Git cannot tell.
    """
    lines = _lines(file.read_bytes())
    # Of what is committed: git would put the working tree's through filters.
    options = ("--line-porcelain", "--no-textconv", "HEAD", "--", file.relative_to(root).as_posix())
    with _without_configuration(root) as repository:
        told = ask(root, "blame", *options, repository=repository)
    committed: list[bytes] = []
    commits: list[Commit] = []
    name, time = "", 0
    for line in told.split(b"\n"):
        if line.startswith(b"\t"):
            committed += _lines(line[1:])
            commits.append(Commit(time, name))
            name = ""
        elif line.startswith(b"committer-time "):
            time = int(line.split()[1])
        elif not name:
            name = line.partition(b" ")[0].decode()
    found: list[Commit | None] = [None] * len(lines)
    for there, here in kept(committed, lines):
        found[here] = commits[there]
    return found


def kept(before: Sequence[bytes], after: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Lines that are in both, each by its places, in order.

    They are those that are there once, in the longest series that has kept its order, and what is alike next to them, or
    next to an end. Of lines that repeat others, between two changes, nothing is told. The time is about that of a sort.
    """
    ends = (-1, -1), (len(before), len(after))
    places = [ends[0], *_in_order(_once(before), _once(after)), ends[1]]
    for (there, here), (next_there, next_here) in pairwise(places):
        if here >= 0:
            yield there, here
        first = there + 1, here + 1
        while first[0] < next_there and first[1] < next_here and before[first[0]] == after[first[1]]:
            yield first
            first = first[0] + 1, first[1] + 1
        last = next_there - 1, next_here - 1
        while last[0] >= first[0] and last[1] >= first[1] and before[last[0]] == after[last[1]]:
            yield last
            last = last[0] - 1, last[1] - 1


def _once(lines: Sequence[bytes]) -> dict[bytes, int]:
    """The places of the lines that are there once."""
    count = Counter(lines)
    return {line: place for place, line in enumerate(lines) if count[line] == 1}


def _in_order(before: Mapping[bytes, int], after: Mapping[bytes, int]) -> list[tuple[int, int]]:
    """The longest series of places of lines that are in both, in one order: the patience sort of `git diff --patience`."""
    tails: list[int] = []
    piles: list[list[tuple[int, int, int]]] = []
    for line, here in after.items():
        if line in before:
            pile = bisect_left(tails, before[line])
            tails[pile : pile + 1] = [before[line]]
            piles += [[]] if pile == len(piles) else []
            piles[pile].append((before[line], here, len(piles[pile - 1]) - 1 if pile else -1))
    found: list[tuple[int, int]] = []
    above = -1
    for each in reversed(piles):
        there, here, above = each[above]
        found.append((there, here))
    return found[::-1]


@contextmanager
def _without_configuration(root: Path) -> Iterator[Path]:
    """A repository with the same history and no configuration: `blame.ignoreRevsFile` cannot be switched off otherwise.

    A file of the working tree would say there which commits are passed over.
    """
    head = ask(root, "rev-parse", "--verify", "HEAD").decode()
    objects = root / os.fsdecode(ask(root, "rev-parse", "--git-path", "objects").removesuffix(b"\n"))
    kind = "sha1" if len(head.strip()) == _SHA1_DIGITS else "sha256"
    with TemporaryDirectory() as folder:
        made = Path(folder)
        for name in ("objects/info", "refs"):
            (made / name).mkdir(parents=True)
        (made / "objects/info/alternates").write_bytes(os.fsencode(objects) + b"\n")
        (made / "HEAD").write_text(head, encoding="ascii")
        (made / "config").write_text(
            f"[core]\nrepositoryFormatVersion = 1\nbare = true\n[extensions]\nobjectFormat = {kind}\n", encoding="ascii"
        )
        if found := ends(root):
            (made / "shallow").write_text("".join(f"{each}\n" for each in sorted(found)), encoding="ascii")
        yield made


def changed(root: Path, specs: Sequence[str], *, ignored: bool) -> set[Path]:
    """Files at the pathspecs that are not as HEAD has them: edited, added, deleted; and what git is told to ignore, if asked.

    Compared here, byte by byte: git would run the filters that attributes name. Line ends are not looked at, and of what
    Git LFS keeps elsewhere its pointer. Files that a filter makes otherwise count as changed.

    Raises:
        GitError: Git cannot tell.
    """
    # A commit may bring a .gitmodules that asks to ignore its submodules.
    plain = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=none")
    staged = _paths(ask(root, "diff-index", "--cached", "--name-only", "-z", *plain, "HEAD", "--", *specs))
    told, patterns = ([], []) if ignored else (_exclusions(root), ["--exclude-standard"])
    others = _paths(ask(root, *told, "ls-files", "--others", "-z", *patterns, "--", *specs))
    return {root / path for path in (*staged, *others, *_edited(root, specs))}


def ignored(root: Path, specs: Sequence[str]) -> set[Path]:
    """Files at the pathspecs that git is told to ignore and that it does not have, and folders with nothing else in them.

    Raises:
        GitError: Git cannot tell.
    """
    options = ("--others", "--ignored", "--exclude-standard", "--directory", "-z")
    told = ask(root, *_exclusions(root), "ls-files", *options, "--", *specs)
    return {root / path for path in _paths(told)}


def _exclusions(root: Path) -> list[str]:
    """The option that names the user's own list of what is ignored, as https://git-scm.com/docs/gitignore finds it.

    Of the user's configuration it is all that is read. The checkout's names no list.
    """
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "git"
    stated = os.environ.get("GIT_CONFIG_GLOBAL")
    found = os.fsencode(folder / "ignore")
    for file in [Path.home() / ".gitconfig", folder / "config"] if stated is None else [Path(stated)]:
        # Not there, or without it: no error, but the next one.
        with suppress(GitError):
            question = ("--includes", "--type=path", "--get", "core.excludesFile")
            found = ask(root, "config", f"--file={file.absolute()}", *question).removesuffix(b"\n")
            break
    return ["-c", f"core.excludesFile={os.fsdecode(found)}"]


def is_lfs_pointer(content: bytes) -> bool:
    """Whether it is what Git LFS puts in place of a file that it has not fetched. Pointers are at most `LFS_POINTER_BYTES`."""
    return bool(_LFS_POINTER.match(content))


def _edited(root: Path, specs: Sequence[str]) -> Iterator[str]:
    for entry in _paths(ask(root, "ls-files", "--stage", "-z", "--", *specs)):
        about, _, path = entry.partition("\t")
        mode, name, _ = about.split(" ")
        if not _is_as_committed(root, root / path, mode, name):
            yield path


def _is_as_committed(root: Path, file: Path, mode: str, name: str) -> bool:
    try:
        found = file.lstat()
        if mode == "160000":
            return _is_at(file, name)
        if stat.S_ISLNK(found.st_mode):
            return mode == "120000" and _digest(os.fsencode(file.readlink()), name) == name
        if not stat.S_ISREG(found.st_mode):
            return False
        same = _file_digest(file, name) == name or _is_kept_otherwise(root, file, name)
    except OSError:
        return False
    executable = bool(found.st_mode & stat.S_IXUSR) == (mode == "100755")
    return same and (executable or mode == "120000" or not _tells_executables(root))


def _is_at(submodule: Path, name: str) -> bool:
    """Whether a submodule is unchanged at a commit, or is not checked out."""
    if not (submodule / ".git").exists():
        return not any(submodule.iterdir())
    head = ask(submodule, "rev-parse", "--verify", "HEAD").decode().strip()
    return head == name and not changed(submodule, [":(top)"], ignored=False)


def _is_kept_otherwise(root: Path, file: Path, name: str) -> bool:
    if int(ask(root, "cat-file", "-s", name)) <= LFS_POINTER_BYTES:
        pointer = _LFS_POINTER.match(ask(root, "cat-file", "blob", name))
        if pointer:
            with file.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest() == pointer[1].decode()
    with file.open("rb") as stream:
        head = stream.read(_BINARY_WITHIN)
        return b"\0" not in head and _digest((head + stream.read()).replace(b"\r\n", b"\n"), name) == name


def _tells_executables(root: Path) -> bool:
    """Whether the file system keeps what is executable, as `git init` found out: https://git-scm.com/docs/git-config."""
    return ask(root, "config", "--local", "--type=bool", "--default=true", "--get", "core.fileMode").strip() == b"true"


def _hash(name: str, size: int) -> Callable[[], "hashlib._Hash"]:
    """What begins the name of an object like another one: https://git-scm.com/docs/hash-function-transition."""
    algorithm = hashlib.sha1 if len(name) == _SHA1_DIGITS else hashlib.sha256
    return lambda: algorithm(b"blob %d\0" % size, usedforsecurity=False)


def _digest(content: bytes, name: str) -> str:
    found = _hash(name, len(content))()
    found.update(content)
    return found.hexdigest()


def _file_digest(file: Path, name: str) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, _hash(name, os.fstat(stream.fileno()).st_size)).hexdigest()


def _lines(content: bytes) -> list[bytes]:
    return [line.removesuffix(b"\r") for line in content.removesuffix(b"\n").split(b"\n")]


def _paths(told: bytes) -> list[str]:
    return [os.fsdecode(path) for path in told.split(b"\0") if path]
