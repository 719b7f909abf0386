"""Renders a stack: exactly the objects that `pulumi up` creates, as one YAML file for each model."""

import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from homeport.commands.errors import CommandError, UsageError
from homeport.files import replace
from homeport.manifests import manifests
from homeport.output.text import Line
from homeport.output.yaml import dump_all
from homeport.release import Release
from homeport.stack import Stack

HEADER = (
    "# Rendered by homeport: do not edit, `homeport render` writes this file anew.\n"  # style: files in Git have it
)
"""First line of every rendered file. Only files that begin with it are overwritten or removed."""


class ForeignFileError(CommandError):
    """A file that homeport did not write is in the place of a rendered one."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: found a file that homeport did not write: move it away, or choose another folder")


@dataclass
class Written:
    """What happened to the files of a folder."""

    written: list[Path] = field(default_factory=list)
    unchanged: list[Path] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)
    """Files of models that are no longer live."""


def render(stack: Stack) -> dict[str, str]:
    """Content by name of the file, sorted by name of the model."""
    return {f"{each.model.name}.yaml": rendered(each) for each in sorted(stack.releases, key=_name)}


def objects(stacks: Iterable[Stack]) -> str:
    """All objects of stacks, in one text."""
    return dump_all(each for stack in stacks for release in stack.releases for each in manifests(release))


def write_all(stacks: Mapping[str, Stack], out: Path) -> Iterator[Line]:
    """Write the files of stacks, each stack into the folder with its name.

    Raises:
        ForeignFileError: A file in the way was not written by homeport.
        UsageError: The folder cannot be written.
    """
    for name, stack in stacks.items():
        try:
            done = write(render(stack), out / name)
        except OSError as error:
            raise UsageError("--out", f"cannot write {error.filename}: {error.strerror}") from None
        counts = {"written": done.written, "unchanged": done.unchanged, "removed": done.removed}
        yield Line(f"{out / name}: {', '.join(f'{len(paths)} {what}' for what, paths in counts.items())}")


def rendered(release: Release) -> str:
    """All objects of a release, in the order in which they can be created."""
    return HEADER + dump_all(manifests(release))


def write(files: Mapping[str, str], folder: Path) -> Written:
    """Write files, each in one step, and remove other rendered files.

    Raises:
        ForeignFileError: A file in the way was not written by homeport. Nothing is changed.
        OSError: The folder cannot be written.
    """
    if link := next((each for each in (folder.parent, folder) if each.is_symlink()), None):
        raise ForeignFileError(link)  # of a branch, perhaps, to somewhere else
    found = {path.name: _content(path) for path in sorted(folder.glob("*.yaml"))}
    for name in files:
        if not found.get(name, HEADER).startswith(HEADER):
            raise ForeignFileError(folder / name)
    done = Written()
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if found.get(name) == content:
            done.unchanged.append(folder / name)
        else:
            replace(folder / name, content)
            done.written.append(folder / name)
    for name, content in found.items():
        if name not in files and content.startswith(HEADER):
            (folder / name).unlink()
            done.removed.append(folder / name)
    return done


def _name(release: Release) -> str:
    return release.model.name


def _content(path: Path) -> str:
    """The content of a file; empty if it is not an ordinary text file, so that it does not look like a rendered one."""
    if not stat.S_ISREG(path.lstat().st_mode):
        return ""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError:
        return ""
