"""Rules about a model's folder: it must have the files that `build` names."""

from collections.abc import Iterator
from pathlib import Path

from homeport.rules.violation import Violation
from homeport.specs.model import Build
from homeport.specs.problems import Location


def missing_files(build: Build, folder: Path) -> Iterator[Violation]:
    """Files that a build needs and that the folder does not have."""
    named: list[tuple[Location, str | None]] = [(("requirements",), build.requirements)]
    named += [(("files", index), file) for index, file in enumerate(build.files)]
    named.append((("dockerfile",), build.dockerfile))
    for field, name in named:
        if name and not (folder / name).exists():
            message = f'found "{name}", accepted: path of a file in {folder} (no such file)'
            yield Violation(("build", *field), message)
