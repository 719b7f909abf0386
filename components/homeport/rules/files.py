"""Rules about a model's folder: it has what `build` names, what a build sees fits an image, git and the server trust it."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from homeport import git
from homeport.catalogue.container import SETTINGS
from homeport.git import GitError, disguised
from homeport.images.build_context import GENERATED, FolderError, context, leads_out, required, why_not
from homeport.output.text import visible
from homeport.rules.violation import Violation
from homeport.specs.model import Build
from homeport.specs.problems import MAX_PROBLEMS, Location, Problem, few, short

Place = Callable[[Violation], Problem]
"""Where a violation of one model is, in a file or in an argument."""

_SHOWN = 5
"""Files of one kind that a message names."""

_LINK = "links to files that the build sees, by paths inside of the folder", "a link that leads out, or to nothing"
_SPECIAL = "regular files", "neither a file nor a folder"
_POINTER = "the file itself (git lfs pull; in GitHub Actions lfs: true for actions/checkout)", "a Git LFS pointer"
_IGNORED = (
    "files that git has; to build others, name them in `build.files`, or leave them out by .dockerignore",
    "ignored by git",
)


def stated_files(build: Build, folder: Path, place: Place) -> Iterator[Problem]:
    """What is wrong with the files that `build` names: missing, not in the folder, or not what they should be."""
    missing = list(missing_files(build, folder))
    yield from few(list(map(place, (*missing, *served_otherwise(build, folder)))))
    if build.requirements and not any(each.field == ("build", "requirements") for each in missing):
        file = folder / build.requirements
        mistakes = required(build, folder).mistakes
        shown = [Problem(str(each), file, each.line) for each in mistakes[:MAX_PROBLEMS]]
        yield from few(shown, len(mistakes))


def served_otherwise(build: Build, folder: Path) -> Iterator[Violation]:
    """Files that say otherwise than `serve`."""
    for file in _settings(folder, build.files or [""]) if build.serve else ():
        message = (
            f'found "{build.serve}" beside {file}, which says what is served too, accepted: `serve` or {SETTINGS}, '
            "not both"
        )
        yield Violation(("build", "serve"), message)


def _settings(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """The settings of MLServer that a build copies: hidden files and folders are in no image unless they are named."""
    for name in names:
        if Path(name).name == SETTINGS:
            yield folder / name
        for here, folders, files in os.walk(folder / name):
            folders[:] = sorted(each for each in folders if not each.startswith("."))
            if SETTINGS in files:
                yield Path(here, SETTINGS)


def missing_files(build: Build, folder: Path) -> Iterator[Violation]:
    """Files that a build needs and that the folder does not have."""
    named: list[tuple[Location, str | None]] = [(("requirements",), build.requirements)]
    named += [(("files", index), file) for index, file in enumerate(build.files)]
    named.append((("dockerfile",), build.dockerfile))
    for field, name in named:
        if name and (why := why_not(folder, name, or_folder=field[0] == "files")):
            message = f'found "{name}", accepted: path of a file in {folder} ({why})'
            yield Violation(("build", *field), message)


def seen_files(build: Build, folder: Path) -> Iterator[Violation]:
    """Files of the folder that a build would see and that must not be part of an image, or of its context."""
    generated = folder / GENERATED
    if generated.is_symlink() or (generated.exists() and not generated.is_dir()):
        yield Violation(("build",), f"found {GENERATED}, accepted: a folder, which homeport makes, or nothing")
    elif generated.exists() and any(each.is_symlink() for each in generated.iterdir()):
        yield Violation(("build",), f"found a link in {GENERATED}, accepted: nothing but what homeport writes there")
    found: dict[tuple[str, str], list[str]] = {_LINK: [], _SPECIAL: [], _POINTER: [], _IGNORED: []}
    regular = []
    try:
        for name, entry in context(build, folder):
            if entry.is_symlink():
                found[_LINK] += [name] if leads_out(folder, name) else []
            elif not entry.is_file(follow_symlinks=False):
                found[_SPECIAL].append(name)
            else:
                regular.append(name)
                found[_POINTER] += [name] if _is_pointer(Path(entry.path)) else []
    except FolderError as error:
        yield Violation(("build",), str(error))
    found[_IGNORED] = _ignored(build, folder, regular)
    for (accepted, what), names in found.items():
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            shown = ", ".join(short(visible(name)) for name in sorted(names)[:_SHOWN])
            yield Violation(("build",), f"found {shown}{more}: {what}, accepted: {accepted}")


def _is_pointer(file: Path) -> bool:
    if file.stat(follow_symlinks=False).st_size > git.LFS_POINTER_BYTES:
        return False
    return git.is_lfs_pointer(file.read_bytes())


def _ignored(build: Build, folder: Path, names: Iterable[str]) -> list[str]:
    """Files, and folders, that git is told to ignore and `build` does not name. Nothing is known where there is no git.

    A folder that is named is meant to have them if it has nothing else.
    """
    here = folder.resolve()
    paths = [here / name for name in names]
    told: set[Path] = set()
    try:
        for root in {git.working_tree(place) for place in {path.parent for path in paths}}:
            told |= git.ignored(root, [git.at(here if here.is_relative_to(root) else root, root)])
    except GitError:
        return []
    found = {path: each for path in paths for each in (path, *path.parents) if each in told}
    named = {here / file for file in build.files}
    meant = named - {each for path in paths if path not in found for each in (path, *path.parents)}
    left = (each for path, each in found.items() if meant.isdisjoint((path, *path.parents)))
    return sorted({each.relative_to(here).as_posix() for each in left})


def disguised_repositories(folders: Iterable[Path]) -> Iterator[Problem]:
    """Folders of ordinary files, among these and around them, whose configuration any call of git would read."""
    for folder in disguised(folders):
        shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
        message = (
            "found a folder that git takes for a repository (HEAD, objects, refs), whose configuration may name "
            "commands, accepted: a folder without these files"
        )
        yield Problem(message, shown)
