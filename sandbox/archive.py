"""An image with one static program in it, as an OCI archive."""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

# The kernel's name -> Go's, which images use.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_image(archive: Path, name: str, program: Path) -> None:
    """Writes an image called `name` that runs `program`, as nobody unless the pod says otherwise."""
    layer = _tar([(program.name, program.read_bytes(), 0o755)])
    config = _json(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"], "User": "65534:65534"},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
        }
    )
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
            | {"annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}}
        ],
    }
    blobs = [(f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob, 0o644) for blob in (layer, config, manifest)]
    layout = _json({"imageLayoutVersion": "1.0.0"})
    archive.write_bytes(_tar([("oci-layout", layout, 0o644), ("index.json", _json(index), 0o644), *blobs]))


def _tar(files: list[tuple[str, bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content, mode in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}
