"""The images that the sandbox makes are what the specification says, and the same for the same files."""

import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from sandbox import oci
from sandbox.archive import write_image


def content(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {each.name: file.read() for each in tar if (file := tar.extractfile(each))}


def test_an_archive_tells_its_images_name_and_every_digest(tmp_path: Path) -> None:
    program = tmp_path / "server"
    program.write_bytes(b"\x7fELF")
    write_image(tmp_path / "image.tar", "registry.example.com/server:1", program)
    files = content(tmp_path / "image.tar")
    assert json.loads(files.pop("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads(files.pop("index.json"))
    assert all(name == f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}" for name, blob in files.items())

    def blob(descriptor: dict[str, Any]) -> bytes:
        found = files.pop(f"blobs/{descriptor['digest'].replace(':', '/')}")
        assert len(found) == descriptor["size"]
        return found

    (named,) = index["manifests"]
    assert named["annotations"]["io.containerd.image.name"] == "registry.example.com/server:1"
    manifest = json.loads(blob(named))
    config, (layer,) = json.loads(blob(manifest["config"])), manifest["layers"]
    assert config["config"] == {"Entrypoint": ["/server"], "User": "65534:65534"}
    assert config["rootfs"]["diff_ids"] == [layer["digest"]]
    assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar"
    (tmp_path / "layer.tar").write_bytes(blob(layer))
    with tarfile.open(tmp_path / "layer.tar") as tar:
        (entry,) = tar
    assert (entry.name, entry.mode, entry.size, entry.mtime) == ("server", 0o755, 4, 0)
    assert files == {}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["image.tar", "layer.tar", "server"]


def test_a_layer_depends_on_files_and_not_on_their_times(tmp_path: Path) -> None:
    made = []
    for name, time in (("a", 1), ("b", 2)):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("x", "y") if name == "a" else ("y", "x"):
            (folder / file).write_text(file)
            (folder / file).chmod(0o4755)
            os.utime(folder / file, (time, time))
        oci.write_tar(tmp_path / f"{name}.tar", folder)
        made.append(oci.digest(tmp_path / f"{name}.tar"))
    assert made[0] == made[1]
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert [(each.name, each.mode) for each in tar] == [("x", 0o755), ("y", 0o755)]
