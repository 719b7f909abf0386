"""The build context: what of a model's folder a build sees, and which commit it is."""

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
"""Folder in the model's folder for what is generated; git ignores it, and so do builds."""


@dataclass(frozen=True)
class BuildContext:
    """What a builder is given."""

    folder: Path
    dockerfile: Path
    revision: str
    """Commit that last changed what is built."""


def prepare(model: Model, build: Build, images: Images, folder: Path) -> BuildContext:
    """Write the Dockerfile for a builder to read, unless the model has one of its own."""
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
    # `model.yaml` and hidden files are in no image: a change of them makes no other.
    built, without = ([*build.files, *required], ()) if build.files else ((), ("model.yaml", "**/.*"))
    return BuildContext(folder, generated / "Dockerfile", revision(folder, built, without))
