"""How does a model's folder become a container image, with no Docker daemon and no BuildKit?

Three layers, each kept in the cache under the hash of what it is made from: Debian with its Python, the locked
libraries, and the code: the server, the model's settings and whatever ``train.py`` wrote. The tools are Debian's
debootstrap and pip; own code is only what no tool does without a daemon and reproducibly: tar files with nothing of the
moment in them, and the three small JSON documents of an OCI image.
"""

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from filelock import FileLock

from sandbox import machine
from sandbox import progress as console
from sandbox.errors import SandboxError

Progress = Callable[[str], None]

SERVER = Path(__file__).resolve().parent.parent / "components" / "homeport_server" / "homeport_server"
PYTHON = "3.11"  # Debian 12's own
USER = 65532
_PACKAGES = "python3,python3-venv,ca-certificates"
_LIBRARIES = "opt/homeport/python"
_CODE = "opt/homeport/code"
_MODELS = "opt/homeport/models"
# Grows when this file makes a layer differently from the same inputs; else a cache would hand out the old one.
_RECIPE = 1
# In a model's folder, but not what its image is made from: documents, and what training by hand left behind.
_NOT_INPUTS = frozenset({"README.md", "model.skops", "model.yaml", "request.json", "requirements.in"})
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_TRIMMED = (
    "dev/*",
    "proc/*",
    "sys/*",
    "run/*",
    "tmp/*",
    "usr/share/info/*",
    "usr/share/lintian/*",
    "usr/share/locale/*",
    "usr/share/man/*",
    "var/cache/apt/*",
    "var/cache/debconf/*",
    "var/cache/ldconfig/*",
    "var/lib/apt/lists/*",
    "var/log/*",
)


class ImageError(SandboxError):
    """The image cannot be built; the text says why and what would help."""


@dataclass(frozen=True)
class BuiltImage:
    """An image in the cache, as an OCI layout in a tar archive."""

    reference: str
    digest: str
    archive: Path


@dataclass(frozen=True)
class _Layer:
    file: Path
    digest: str


def build_image(folder: Path, reference: str, cache: Path, progress: Progress) -> BuiltImage:
    """Build a model's image, or find it in the cache when nothing it is made from has changed."""
    name, _, version = reference.rpartition(":")
    if not name or "/" in version:
        raise ImageError(f"{reference}: an image reference with a version is needed, such as homeport.local/iris:1")
    store = _store(cache)
    with FileLock(store / "lock"):
        layers = [
            _base_layer(store, progress),
            _libraries_layer(folder / "requirements.txt", store, progress),
            _code_layer(folder, store, progress),
        ]
        return _archive(reference, layers, store, progress)


def environment(requirements: Path, cache: Path, progress: Progress) -> Path:
    """The Python of an environment with exactly the locked libraries: for training, and for tests of the server."""
    store = _store(cache)
    with FileLock(store / "lock"):
        return _environment(requirements, store, progress)


def trained(folder: Path, cache: Path, progress: Progress) -> Path:
    """A folder with what the image serves: the model's settings and the files that training wrote."""
    store = _store(cache)
    with FileLock(store / "lock"):
        return _trained(folder, store, progress)


def _store(cache: Path) -> Path:
    store = cache / "images"
    store.mkdir(parents=True, exist_ok=True)
    return store


# What each layer is made of


def _base_layer(store: Path, progress: Progress) -> _Layer:
    key = _key("base", _PACKAGES, platform.machine())

    def make(target: Path) -> None:
        progress("Debian base (once, about a minute)")
        machine.require_root()
        machine.require_packages(machine.IMAGE_PACKAGES, console.Progress())
        with _scratch(store) as root:
            _run(["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root)])
            for pattern in _TRIMMED:
                for path in root.glob(pattern):
                    _remove(path)
            for path in (root / "usr/share/doc").glob("*/*"):
                if path.name != "copyright":
                    _remove(path)
            # Files get one fixed time below, and Python compares times: compiled by content, its library loads at once.
            compiling = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", f"/usr/lib/python{PYTHON}"]
            _run(["chroot", str(root), "python3", *compiling], check=False)
            _settle(root)
            _write_tar(target, [(root, "")], owners=True)

    return _layer(store, "base", key, make)


def _settle(root: Path) -> None:
    """Take the day of the build out of the passwords' file, and give the server's user a name and a home."""
    shadow = root / "etc/shadow"
    lines = [line.split(":") for line in shadow.read_text().splitlines()]
    shadow.write_text("".join(":".join([*line[:2], "1", *line[3:]]) + "\n" for line in lines))
    for path in (root / "etc").glob("*-"):  # backups of the user files
        path.unlink()
    with (root / "etc/passwd").open("a") as users:
        users.write(f"homeport:x:{USER}:{USER}::/tmp:/usr/sbin/nologin\n")
    with (root / "etc/group").open("a") as groups:
        groups.write(f"homeport:x:{USER}:\n")


def _libraries_layer(requirements: Path, store: Path, progress: Progress) -> _Layer:
    key = _key("libraries", _content(requirements), platform.machine())

    def make(target: Path) -> None:
        python = _environment(requirements, store, progress)
        progress("libraries of the image")
        with _scratch(store) as root:
            # Wheels for Debian 12's C library and Python, whatever this machine has.
            tags = [f"manylinux_2_{minor}_{platform.machine()}" for minor in range(36, 16, -1)]
            tags += [f"{old}_{platform.machine()}" for old in ("manylinux2014", "manylinux2010", "manylinux1")]
            options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--no-compile", "--quiet"]
            options += [f"--platform={tag}" for tag in tags]
            options += [f"--python-version={PYTHON}", "--implementation=cp", f"--target={root}"]
            _run([str(python), "-m", "pip", "install", *options, "-r", str(requirements)])
            shutil.rmtree(root / "bin", ignore_errors=True)
            for tests in [path for path in root.rglob("tests") if path.is_dir()]:
                _remove(tests)
            for record in root.glob("*.dist-info/RECORD"):  # untrue by now, and different on each machine
                _remove(record)
            _compile(python, root, _LIBRARIES)
            _write_tar(target, [(root, _LIBRARIES)])

    return _layer(store, "libraries", key, make)


def _code_layer(folder: Path, store: Path, progress: Progress) -> _Layer:
    served = _trained(folder, store, progress)
    key = _key("code", _content(SERVER), _content(served))

    def make(target: Path) -> None:
        progress("server and model")
        python = _environment(folder / "requirements.txt", store, progress)
        with _scratch(store) as root:
            code, models = root / "code", root / "models"
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(SERVER, code / SERVER.name, ignore=ignore)
            # A folder named as the model: MLServer expects it so.
            name = json.loads((served / "model-settings.json").read_text())["name"]
            shutil.copytree(served, models / name)
            _compile(python, code, _CODE)
            _write_tar(target, [(code, _CODE), (models, _MODELS)])

    return _layer(store, "code", key, make)


def _environment(requirements: Path, store: Path, progress: Progress) -> Path:
    place = store / "environments" / _key("environment", _content(requirements), platform.machine())[:16]
    python = place / "bin" / "python"
    done = place / "complete"
    if not done.exists():
        progress("Python environment with the locked libraries")
        shutil.rmtree(place, ignore_errors=True)
        _run([_interpreter(), "-m", "venv", str(place)])
        options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--quiet"]
        _run([str(python), "-m", "pip", "install", *options, "-r", str(requirements)])
        done.touch()
    return python


def _trained(folder: Path, store: Path, progress: Progress) -> Path:
    """Train in the same versions of the libraries as the image has: a model's file may not open in others."""
    for name in ("train.py", "requirements.txt", "model-settings.json"):
        if not (folder / name).is_file():
            raise ImageError(f"{folder} has no {name}")
    inputs = _inputs(folder)
    place = store / "models" / _key("model", *(f"{file.relative_to(folder)} {_content(file)}" for file in inputs))[:16]
    if not place.exists():
        python = _environment(folder / "requirements.txt", store, progress)
        progress("training")
        with _scratch(store) as work:
            _run([str(python), str((folder / "train.py").resolve())], directory=work)
            if not any(work.iterdir()):
                raise ImageError(f"{folder / 'train.py'} wrote nothing into its working directory")
            for file in [folder / "model-settings.json", *folder.glob("*.py")]:
                if file.name != "train.py":
                    shutil.copyfile(file, work / file.name)
            place.parent.mkdir(exist_ok=True)
            shutil.copytree(work, f"{place}.new", dirs_exist_ok=True)
            Path(f"{place}.new").rename(place)
    return place


def _inputs(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in _NOT_INPUTS
        and not any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(folder).parts)
    )


# How a layer is kept


def _layer(store: Path, kind: str, key: str, make: Callable[[Path], None]) -> _Layer:
    """The layer in the cache, made if it is absent. Its digest stands beside it, in a file that appears last."""
    file = store / "layers" / f"{kind}-{key[:16]}.tar"
    digest = file.with_suffix(".digest")
    if not digest.exists():
        file.parent.mkdir(exist_ok=True)
        unfinished = file.with_suffix(".new")
        make(unfinished)
        unfinished.rename(file)
        _write(digest, _file_digest(file))
    return _Layer(file, digest.read_text())


def _write_tar(target: Path, trees: Sequence[tuple[Path, str]], *, owners: bool = False) -> None:
    """Write folders into one tar file: sorted, one fixed time, and no right to become another user."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        written: set[str] = set()
        for root, prefix in trees:
            parts = prefix.split("/") if prefix else []
            for depth in range(1, len(parts) + 1):
                parent = "/".join(parts[:depth])
                if parent not in written:
                    written.add(parent)
                    archive.addfile(_entry(parent, tarfile.DIRTYPE, 0o755))
            for path in sorted(root.rglob("*")):
                name = "/".join([*parts, *path.relative_to(root).parts])
                entry = archive.gettarinfo(path, name)
                if entry is None:  # a socket
                    continue
                entry.mtime, entry.uname, entry.gname = 0, "", ""
                if not owners:
                    entry.uid = entry.gid = 0
                    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
                entry.mode &= ~0o6000  # setuid, setgid
                if entry.isreg():
                    with path.open("rb") as content:
                        archive.addfile(entry, content)
                else:
                    archive.addfile(entry)


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _compile(python: Path, root: Path, place: str) -> None:
    """Compile by content, not by time, and with the path the files will have: else each start compiles them anew."""
    options = ["-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", f"/{place}"]
    # Some libraries carry files that are not meant for this version of Python: those do not compile, nor matter.
    _run([str(python), "-m", "compileall", *options, str(root)], check=False)


# What an OCI image is


def _archive(reference: str, layers: Sequence[_Layer], store: Path, progress: Progress) -> BuiltImage:
    name, _, version = reference.rpartition(":")
    labels = {
        "org.opencontainers.image.title": name.rpartition("/")[2],
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.base.name": "debian:bookworm",
    }
    config = _document(
        {
            "created": "1970-01-01T00:00:00Z",
            "architecture": _ARCHITECTURES[platform.machine()],
            "os": "linux",
            "config": {
                "User": f"{USER}:{USER}",
                "WorkingDir": f"/{_MODELS}",
                "Entrypoint": ["python3", "-m", "homeport_server", f"/{_MODELS}"],
                "Env": [f"{variable}={value}" for variable, value in _variables().items()],
                "ExposedPorts": {"8080/tcp": {}, "8082/tcp": {}},
                "StopSignal": "SIGTERM",
                "Labels": labels,
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        }
    )
    manifest = _document(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            # Not compressed: what a zlib makes of the same bytes differs by version, and the digest with it.
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": layer.digest,
                    "size": layer.file.stat().st_size,
                }
                for layer in layers
            ],
            "annotations": labels,
        }
    )
    descriptor = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    digest: str = descriptor["digest"]
    # The first name is containerd's, the second everyone else's.
    names = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference}
    index = _document(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{**descriptor, "annotations": names}],
        }
    )

    file = store / f"{name.rpartition('/')[2]}-{version}-{digest.removeprefix('sha256:')[:16]}.tar"
    if not file.exists():
        progress("image archive")
        unfinished = file.with_suffix(".new")
        with tarfile.open(unfinished, "w", format=tarfile.PAX_FORMAT) as archive:
            _add(archive, "oci-layout", _document({"imageLayoutVersion": "1.0.0"}))
            _add(archive, "index.json", index)
            for content in (manifest, config):
                _add(archive, _blob(_digest(content)), content)
            for layer in layers:
                with layer.file.open("rb") as stream:
                    _add_stream(archive, _blob(layer.digest), stream, layer.file.stat().st_size)
        unfinished.rename(file)
    return BuiltImage(reference, digest, file)


def _variables() -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",  # noqa: S108  # the one place that can be written to
        "LANG": "C.UTF-8",
        "PYTHONPATH": f"/{_CODE}:/{_LIBRARIES}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        # Else each library starts as many threads as the node has cores, for a container with a fraction of one.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "JOBLIB_MULTIPROCESSING": "0",
        "MALLOC_ARENA_MAX": "2",
        "MLSERVER_PARALLEL_WORKERS": "0",
    }


def _document(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    _add_stream(archive, name, io.BytesIO(content), len(content))


def _add_stream(archive: tarfile.TarFile, name: str, stream: IO[bytes], size: int) -> None:
    entry = _entry(name, tarfile.REGTYPE, 0o644)
    entry.size = size
    archive.addfile(entry, stream)


# Small helpers


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join([str(_RECIPE), *parts]).encode()).hexdigest()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _file_digest(file: Path) -> str:
    with file.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def _content(path: Path) -> str:
    """The digest of a file, or of a folder's files with their names."""
    if path.is_file():
        return _file_digest(path)
    files = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return _key(*(f"{file.relative_to(path)} {_file_digest(file)}" for file in files))


def _interpreter() -> str:
    """A Python of the image's version: a model's file and compiled code are only good for one."""
    if platform.python_version().startswith(f"{PYTHON}."):
        return sys.executable
    found = shutil.which(f"python{PYTHON}")
    if not found:
        raise ImageError(
            f"Python {PYTHON} is needed, as the image has; install it, for example: uv python install {PYTHON}"
        )
    return found


def _run(command: list[str], directory: Path | None = None, *, check: bool = True) -> None:
    """Run a tool; its output is shown only when it fails."""
    done = subprocess.run(
        command,
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        # With random hashes the order of a set in compiled code differs from build to build.
        env={**os.environ, "PATH": _system_path(), "PYTHONHASHSEED": "0"},
    )
    if check and done.returncode != 0:
        raise ImageError(f"{' '.join(command[:4])} ... ended with {done.returncode}:\n{done.stdout[-4000:]}")


def _system_path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def _write(file: Path, text: str) -> None:
    unfinished = file.with_suffix(".writing")
    unfinished.write_text(text)
    unfinished.rename(file)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def _scratch(store: Path) -> Iterator[Path]:
    """A folder that is gone afterwards, on the disk of the cache: hundreds of megabytes do not belong into /tmp."""
    with tempfile.TemporaryDirectory(dir=store, prefix="scratch-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path
