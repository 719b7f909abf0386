"""An image with one static program in it, as an OCI archive."""

import shutil
import tempfile
from pathlib import Path

from sandbox import oci


def write_image(archive: Path, name: str, program: Path) -> None:
    """Write an image called `name` that runs `program`, as an unprivileged user unless the pod states another."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        root, layer = Path(scratch) / "root", Path(scratch) / "layer.tar"
        root.mkdir()
        shutil.copyfile(program, root / program.name)
        (root / program.name).chmod(0o755)
        oci.write_tar(layer, root)
        content = oci.digest(layer)
        config = {"Entrypoint": [f"/{program.name}"], "User": "65534:65534"}
        oci.write_archive(archive, name, oci.image([oci.Layer(layer, content, content)], config))
