"""Rules about a model's folder: it has the files that `build` names, and nothing that git or the server takes for more."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from homeport.catalogue.container import SETTINGS
from homeport.git import disguised
from homeport.rules.violation import Violation
from homeport.specs.model import Build
from homeport.specs.problems import Location, Problem


def file_violations(build: Build, folder: Path) -> Iterator[Violation]:
    """Files that a build needs and that the folder does not have, and those that say otherwise than `serve`."""
    yield from _missing(build, folder)
    if build.serve:
        for file in _settings(folder, build.files or [""]):
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


def _missing(build: Build, folder: Path) -> Iterator[Violation]:
    named: list[tuple[Location, str | None]] = [(("requirements",), build.requirements)]
    named += [(("files", index), file) for index, file in enumerate(build.files)]
    named.append((("dockerfile",), build.dockerfile))
    for field, name in named:
        if name and not (folder / name).exists():
            message = f'found "{name}", accepted: path of a file in {folder} (no such file)'
            yield Violation(("build", *field), message)


def disguised_repositories(folders: Iterable[Path]) -> Iterator[Problem]:
    """Folders of ordinary files, among these and around them, whose configuration any call of git would read."""
    for folder in disguised(folders):
        shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
        message = (
            "found a folder that git takes for a repository (HEAD, objects, refs), whose configuration may name "
            "commands, accepted: a folder without these files"
        )
        yield Problem(message, shown)
