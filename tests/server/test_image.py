"""The image of the example: what is in it, and that nothing is built twice."""

import hashlib
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from sandbox.image import BuiltImage, ImageError, build_image
from sandbox.paths import cache
from tests.server.conftest import IRIS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="debootstrap, which makes the base, needs root")


@pytest.fixture(scope="module")
def image() -> BuiltImage:
    return build_image(IRIS, "homeport.local/iris:1", cache(), print)


def read(image: BuiltImage, name: str) -> Any:
    with tarfile.open(image.archive) as archive:
        content = archive.extractfile(name)
        assert content is not None
        return json.load(content)


def blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def test_every_part_has_the_digest_by_which_it_is_named(image: BuiltImage) -> None:
    with tarfile.open(image.archive) as archive:
        for entry in archive:
            if entry.name.startswith("blobs/"):
                content = archive.extractfile(entry)
                assert content is not None
                digest = hashlib.sha256()
                while piece := content.read(1 << 20):
                    digest.update(piece)
                assert digest.hexdigest() == Path(entry.name).name
    assert [entry["digest"] for entry in read(image, "index.json")["manifests"]] == [image.digest]


def test_the_image_runs_as_nobody_and_holds_no_way_to_become_another(image: BuiltImage) -> None:
    manifest = read(image, blob(image.digest))
    config = read(image, blob(manifest["config"]["digest"]))
    assert config["config"]["User"] == "65532:65532"
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    with tarfile.open(image.archive) as archive:
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=archive.extractfile(blob(layer["digest"]))) as files:
                for entry in files:
                    assert not entry.mode & 0o6000, entry.name
                    assert entry.isreg() or entry.isdir() or entry.islnk() or entry.issym(), entry.name
                    assert entry.mtime == 0, entry.name


def test_nothing_is_built_twice_and_documents_do_not_count(image: BuiltImage, tmp_path: Path) -> None:
    folder = tmp_path / "iris"
    shutil.copytree(IRIS, folder)
    (folder / "README.md").write_text("changed")
    steps: list[str] = []
    assert build_image(folder, "homeport.local/iris:1", cache(), steps.append) == image
    assert steps == []


def test_a_changed_model_is_another_image_on_the_same_libraries(image: BuiltImage, tmp_path: Path) -> None:
    folder = tmp_path / "iris"
    shutil.copytree(IRIS, folder)
    (folder / "train.py").write_text("open('model.skops', 'w').write('another')")
    steps: list[str] = []
    other = build_image(folder, "homeport.local/iris:1", cache(), steps.append)
    try:
        before, after = (read(built, blob(built.digest))["layers"] for built in (image, other))
        assert before[:2] == after[:2]
        assert before[2] != after[2]
    finally:
        other.archive.unlink()


@pytest.mark.parametrize("reference", ["homeport.local/iris", "iris", "registry:5000/iris"])
def test_a_reference_without_a_version_is_refused(reference: str) -> None:
    with pytest.raises(ImageError, match="an image reference with a version is needed"):
        build_image(IRIS, reference, cache(), print)


def test_a_folder_without_what_is_needed_is_refused(tmp_path: Path) -> None:
    shutil.copyfile(IRIS / "requirements.txt", tmp_path / "requirements.txt")
    with pytest.raises(ImageError, match=r"has no train\.py"):
        build_image(tmp_path, "homeport.local/none:1", cache(), print)
