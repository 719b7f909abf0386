"""OCI images: reproducible layers, the two documents of an image, and writing it to an archive or a registry.

https://github.com/opencontainers/image-spec, https://github.com/opencontainers/distribution-spec
"""

import hashlib
import http.client
import json
import os
import platform
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO, Any

from sandbox.errors import SandboxError

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # the kernel's name -> Go's, which images use


@dataclass(frozen=True)
class Layer:
    """A tar file of files, compressed if its name ends in `.gz`."""

    file: Path
    digest: str
    """Digest of the file as it is."""
    content: str
    """Digest of the uncompressed content."""


@dataclass(frozen=True)
class Image:
    """The documents of an image, and the layers that they name."""

    config: bytes
    manifest: bytes
    layers: Sequence[Layer]


def image(layers: Sequence[Layer], config: Mapping[str, Any]) -> Image:
    """An image for this machine's architecture; `config` is the configuration of its containers."""
    configuration = _document(
        {
            "created": "1970-01-01T00:00:00Z",
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer.content for layer in layers]},
        }
    )
    manifest = _document(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor("application/vnd.oci.image.config.v1+json", configuration),
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar" + ("+gzip" * (layer.file.suffix == ".gz")),
                    "digest": layer.digest,
                    "size": layer.file.stat().st_size,
                }
                for layer in layers
            ],
        }
    )
    return Image(configuration, manifest, layers)


def write_tar(file: Path, root: Path, check: Callable[[], object] = lambda: None) -> None:
    """Write the files of a folder: sorted, with one fixed time and without setuid and setgid.

    `check` is called before each file and may raise to stop.
    """
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(root.rglob("*")):
            check()
            entry = tar.gettarinfo(path, str(path.relative_to(root)))
            if entry is None:  # a socket
                continue
            entry.mtime, entry.uname, entry.gname = 0, "", ""
            entry.mode &= ~0o6000  # setuid, setgid
            if entry.isreg():
                with path.open("rb") as content:
                    tar.addfile(entry, content)
            else:
                tar.addfile(entry)


def write_archive(file: Path, name: str, made: Image) -> None:
    """Write an image into an archive that contains its name."""
    names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [_descriptor(_MANIFEST, made.manifest) | {"annotations": names}],
    }
    blobs: dict[str, bytes | Path] = {digest(document): document for document in (made.config, made.manifest)}
    blobs |= {layer.digest: layer.file for layer in made.layers}
    files: dict[str, bytes | Path] = {
        "oci-layout": _document({"imageLayoutVersion": "1.0.0"}),
        "index.json": _document(index),
        **{f"blobs/{name.replace(':', '/')}": content for name, content in blobs.items()},
    }
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            with _opened(content) as stream:
                entry.size = _size(stream)
                tar.addfile(entry, stream)


def push(registry: str, name: str, tag: str, made: Image) -> None:
    """Push an image to a registry without encryption at `host:port`; existing content is not sent again.

    Raises:
        SandboxError: The registry refuses the image.
        OSError: No registry answers.
    """
    connection = http.client.HTTPConnection(registry, timeout=60)
    try:
        for layer in made.layers:
            _push_blob(connection, name, layer.digest, layer.file)
        _push_blob(connection, name, digest(made.config), made.config)
        _send(connection, "PUT", f"/v2/{name}/manifests/{tag}", made.manifest, _MANIFEST)
    finally:
        connection.close()


def digest(content: bytes | Path) -> str:
    """The digest of content in memory or in a file."""
    with _opened(content) as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def _opened(content: bytes | Path) -> BufferedReader | BytesIO:
    return content.open("rb") if isinstance(content, Path) else BytesIO(content)


def _size(stream: IO[bytes]) -> int:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return size


def _document(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(blob), "size": len(blob)}


def _push_blob(connection: http.client.HTTPConnection, name: str, wanted: str, content: bytes | Path) -> None:
    connection.request("HEAD", f"/v2/{name}/blobs/{wanted}")
    answer = connection.getresponse()
    answer.read()
    if answer.status == http.client.OK:
        return
    place = _send(connection, "POST", f"/v2/{name}/blobs/uploads/", b"")
    place += f"{'&' if '?' in place else '?'}digest={wanted}"
    _send(connection, "PUT", place, content)


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    content: bytes | Path,
    kind: str = "application/octet-stream",
) -> str:
    """The location in the answer."""
    with _opened(content) as stream:
        # Without a length it would be sent in chunks, which the registry does not accept.
        connection.request(method, path, stream, {"Content-Type": kind, "Content-Length": str(_size(stream))})
    answer = connection.getresponse()
    said = answer.read()
    if answer.status not in {http.client.ACCEPTED, http.client.CREATED}:
        raise SandboxError(f"{method} {path} at the registry: {answer.status} {said.decode(errors='replace')[:500]}")
    return answer.getheader("Location") or ""
