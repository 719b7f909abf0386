"""The Pulumi project that a folder belongs to, as its `Pulumi.yaml` tells it without Pulumi."""

from collections.abc import Mapping
from pathlib import Path

from homeport.project import is_inside, project
from homeport.specs.documents import Document
from homeport.specs.problems import Problem, SpecError

_FILES = ("Pulumi.yaml", "Pulumi.yml")


def project_file(folder: Path) -> Path | None:
    """The `Pulumi.yaml` of a folder, or of the nearest folder above it; None if there is none."""
    here = folder.resolve()
    files = (at / name for at in (here, *here.parents) for name in _FILES)
    return next((file for file in files if file.is_file()), None)


def stack_of(folder: Path) -> str | None:
    """The Pulumi stack that a folder describes, as `PROJECT/STACK`. The folder has the name of the stack.

    None where files cannot tell: outside a project, and in the folder of the project itself, which may have many stacks.

    Raises:
        SpecError: `Pulumi.yaml` cannot be read, or is not YAML.
    """
    file = project_file(folder)
    if file is None or file.parent == folder.resolve():
        return None
    if not is_inside(file, project(folder)):
        raise SpecError([Problem("found a link that leads out of the project, accepted: an ordinary file", file)])
    content = Document.read(file).content
    name = content.get("name") if isinstance(content, Mapping) else None
    return f"{name}/{folder.resolve().name}" if isinstance(name, str) else None
