"""The build context: the files of a model's folder that a build sees, what the build reads of them, and their commit."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path

from homeport.errors import HomeportError
from homeport.files import replace
from homeport.images.dockerfile import dockerfile, ignored
from homeport.images.dockerignore import PatternError, patterns, seen
from homeport.images.requirements import MAX_BYTES, Requirements
from homeport.provenance import revision
from homeport.specs.environment import Images
from homeport.specs.fields import RESERVED
from homeport.specs.model import Build, Model

GENERATED = ".homeport"
"""Folder for generated files inside the model's folder. Git and builds ignore it."""

_MAX_BYTES = 2**20
"""Size of a `.dockerignore`."""
_MAX_PATTERNS = 1000
"""Patterns in it. Each is compared with each file of the folder."""

_NO_DIRECTIVES = "# Copied by homeport, so that no `# syntax` names another program that reads the folder.\n"
"""First line of a copied Dockerfile. Directives count only before any other line:
https://docs.docker.com/reference/dockerfile/#parser-directives."""


class FolderError(HomeportError):
    """A model's folder is not as a build needs it. The text says what was found and what is accepted."""


@dataclass(frozen=True)
class BuildContext:
    """The input of an image builder."""

    folder: Path
    dockerfile: Path
    revision: str
    """Commit that last changed the files that are built."""


def prepare(model: Model, build: Build, images: Images, folder: Path) -> BuildContext:
    """Write the Dockerfile for the builder, or copy the model's own, and what the builder leaves out of the folder.

    Raises:
        FolderError: A file that the build reads is not in the folder, or not as it has to be.
    """
    lines = _left_out(build, folder)
    if build.dockerfile:
        text = _NO_DIRECTIVES.encode() + read(folder, build.dockerfile).removeprefix(b"\xef\xbb\xbf")
    else:
        requirements = required(build, folder)
        if requirements.mistakes:
            raise FolderError(f"{build.requirements}:{requirements.mistakes[0].line}: {requirements.mistakes[0]}")
        base, server = images.base(build.base) or "", images.server or installed_version("homeport")
        text = dockerfile(model.name, build, requirements, base=base, server=server, pip=images.pip).encode()
    generated = folder / GENERATED
    if not os.path.lexists(generated):
        generated.mkdir()
    if not _is(generated, stat.S_ISDIR):
        raise FolderError(f"found {GENERATED}, accepted: a folder of homeport's own")
    for name, content in {
        ".gitignore": b"*\n",
        "Dockerfile": text,
        "Dockerfile.dockerignore": "".join(f"{line}\n" for line in lines).encode(),
    }.items():
        file = generated / name
        if not _is(file, stat.S_ISREG) or file.read_bytes() != content:
            replace(file, content)
    named = [build.requirements] if build.requirements else []
    built = [*build.files, *named] if build.files else []
    # No image contains `model.yaml` or hidden files, so a change of them must not cause a new image.
    without = () if build.files or build.dockerfile else ("model.yaml", "**/.*", "**/.*/**")
    return BuildContext(folder, generated / "Dockerfile", revision(folder, built, without))


def required(build: Build, folder: Path) -> Requirements:
    """What the model's requirements file asks for.

    Raises:
        FolderError: It is not in the folder.
    """
    return Requirements.read(read(folder, build.requirements, MAX_BYTES + 1)) if build.requirements else Requirements()


def context(build: Build, folder: Path) -> "Iterator[tuple[str, os.DirEntry[str]]]":
    """What a build sees: files, links, and all but folders, each by its path in the folder.

    Raises:
        FolderError: The folder cannot be read, or its `.dockerignore` has a line that is not accepted.
    """
    try:
        yield from seen(folder, patterns(_left_out(build, folder)))
    except PatternError as error:
        raise FolderError(str(error)) from None
    except OSError as error:
        raise FolderError(f"found a folder that cannot be read: {error}") from None


def read(folder: Path, name: str, most: int = -1) -> bytes:
    """The content of a file of the folder, or as many bytes of it; links are followed only inside of the folder.

    Raises:
        FolderError: There is no such file.
    """
    if why := why_not(folder, name):
        raise FolderError(f'found "{name}", accepted: path of a file in {folder} ({why})')
    with (folder / name).open("rb") as stream:
        return stream.read(most)


def why_not(folder: Path, name: str, *, or_folder: bool = False) -> str | None:
    """Why a build cannot use a path of the folder as a file; None if it can."""
    path = folder / name
    if not path.exists():
        return "no such file"
    if leads_out(folder, name):
        return "a link leads out of it, or to what no build sees"
    if path.is_file() or (or_folder and path.is_dir()):
        return None
    return "not a regular file"


def leads_out(folder: Path, name: str) -> bool:
    """Whether a path leads by links out of the folder, to nothing, or to what no build sees."""
    root, target = folder.resolve(), Path(os.path.realpath(folder / name))
    if not target.is_relative_to(root) or not target.exists():
        return True
    return not RESERVED.isdisjoint(part.lower() for part in target.relative_to(root).parts)


def _left_out(build: Build, folder: Path) -> list[str]:
    """Lines of a `.dockerignore`: the author's, of a file that is there for one Dockerfile or for all, and homeport's."""
    names = [f"{build.dockerfile}.dockerignore"] if build.dockerfile else []
    stated = next((name for name in [*names, ".dockerignore"] if os.path.lexists(folder / name)), None)
    try:
        content = read(folder, stated, _MAX_BYTES + 1) if stated else b""
        lines = content.decode("utf-8-sig").split("\n") if content else []
    except UnicodeDecodeError:
        raise FolderError(f'found "{stated}", accepted: text in UTF-8') from None
    if len(content) > _MAX_BYTES:
        raise FolderError(f"found more than {_MAX_BYTES} bytes in {stated}, accepted: {_MAX_BYTES} or fewer")
    if (count := sum(bool(line.strip()) and not line.startswith("#") for line in lines)) > _MAX_PATTERNS:
        raise FolderError(f"found {count:,} patterns in {stated}, accepted: {_MAX_PATTERNS:,} or fewer")
    return ignored(build, lines)


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    """Whether there is a file of a kind itself, not a link to one."""
    try:
        return kind(path.lstat().st_mode)
    except FileNotFoundError:
        return False
