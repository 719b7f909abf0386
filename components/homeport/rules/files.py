"""Rules about a model's folder: it has the files that `build` names, and no folder that git takes for a repository."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from homeport.git import disguised
from homeport.rules.violation import Violation
from homeport.specs.model import Build
from homeport.specs.problems import Location, Problem


def missing_files(build: Build, folder: Path) -> Iterator[Violation]:
    """Files that a build needs and that the folder does not have."""
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
