"""The build context: the files of a model's folder that a build sees, and their commit."""

from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path

from homeport.files import replace
from homeport.images.dockerfile import dockerfile, ignored
from homeport.images.requirements import has_hashes
from homeport.provenance import revision
from homeport.specs.environment import Images
from homeport.specs.model import Build, Model

GENERATED = ".homeport"
"""Folder for generated files inside the model's folder. Git and builds ignore it."""


@dataclass(frozen=True)
class BuildContext:
    """The input of an image builder."""

    folder: Path
    dockerfile: Path
    revision: str
    """Commit that last changed the files that are built."""


def prepare(model: Model, build: Build, images: Images, folder: Path) -> BuildContext:
    """Write the Dockerfile for the builder, unless the model has its own."""
    if build.dockerfile:
        return BuildContext(folder, folder / build.dockerfile, revision(folder))
    text = dockerfile(
        model.name,
        build,
        base=images.base(build.base) or "",
        server=images.server or installed_version("homeport"),
        hashed=bool(build.requirements and has_hashes((folder / build.requirements).read_text(encoding="utf-8"))),
        pip=images.pip,
    )
    stated = folder / ".dockerignore"
    lines = stated.read_text(encoding="utf-8").splitlines() if stated.is_file() else []
    generated = folder / GENERATED
    generated.mkdir(exist_ok=True)
    for name, content in {
        ".gitignore": "*\n",
        "Dockerfile": text,
        "Dockerfile.dockerignore": ignored(build, lines),
    }.items():
        file = generated / name
        if not file.exists() or file.read_text(encoding="utf-8") != content:
            replace(file, content)
    required = [build.requirements] if build.requirements else []
    # No image contains `model.yaml` or hidden files, so a change of them must not cause a new image.
    built, without = ([*build.files, *required], ()) if build.files else ((), ("model.yaml", "**/.*"))
    return BuildContext(folder, generated / "Dockerfile", revision(folder, built, without))
