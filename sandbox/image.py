"""Makes a base image if no public one is available: Debian with its Python, and the server's wheel.

There are two layers. The cache keeps each under the hash of its inputs. The tools are Debian's debootstrap and uv; `oci`
does what no tool does reproducibly and without a daemon.
"""

import gzip
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from homeport.catalogue.container import UID
from homeport.files import replace
from homeport.lock import locked
from sandbox import machine, oci
from sandbox.errors import SandboxError
from sandbox.jobs import Stop, run
from sandbox.oci import Layer

Progress = Callable[[str], None]

SERVER = Path(__file__).resolve().parent.parent / "components" / "homeport_server" / "homeport_server"
PYTHON = "3.11"  # Debian 12's own
NAME = f"base/python-{PYTHON}"
TAG = "bookworm"  # the release of Debian too
_PACKAGES = "python3,python3-venv,ca-certificates"
_WHEELS = "opt/homeport/wheels"
# Increased when this file makes a different layer from the same inputs; otherwise the cache would return the old one.
_RECIPE = 3
_CHUNK = 2**20
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


def base_packages(cache: Path) -> dict[str, str]:
    """Debian packages that the machine needs to make the base image; none if the image is in the cache."""
    return {} if _is_made(_debian_file(_store(cache))) else machine.IMAGE_PACKAGES


def make_base(cache: Path, progress: Progress, stop: Stop) -> None:
    """Make the base image, unless it is in the cache: about a minute, once. `base_packages` are there."""
    _base(cache, progress, stop)


def push_base(registry: str, cache: Path, progress: Progress) -> None:
    """Push the base image to a registry without encryption at `host:port`; existing content is not sent again."""
    made = oci.image(
        _base(cache, progress, Stop()),
        {
            "Env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                f"PIP_FIND_LINKS=/{_WHEELS}",
            ],
            "Labels": {"org.opencontainers.image.base.name": f"debian:{TAG}"},
        },
    )
    oci.push(registry, NAME, TAG, made)


def environment(requirements: Path, cache: Path, progress: Progress) -> Path:
    """The Python of an environment with exactly the locked libraries, for training and for tests of the server."""
    store = _store(cache)
    with locked(store / "lock"):
        return _environment(requirements, store, progress)


def _store(cache: Path) -> Path:
    store = cache / "images"
    store.mkdir(parents=True, exist_ok=True)
    return store


# The content of each layer


def _base(cache: Path, progress: Progress, stop: Stop) -> list[Layer]:
    store = _store(cache)
    with locked(store / "lock", stop.check):
        for abandoned in store.glob("scratch-*"):  # left by a killed process, because we hold the lock
            _remove(abandoned)
        return [_debian_layer(store, progress, stop), _wheel_layer(store, progress, stop)]


def _debian_file(store: Path) -> Path:
    return _file(store, "base", _key("base", _PACKAGES, platform.machine()))


def _debian_layer(store: Path, progress: Progress, stop: Stop) -> Layer:
    def make(target: Path) -> None:
        progress("Debian base (once, about a minute)")
        machine.require_root()
        with _scratch(store) as root:
            # In its own namespaces it leaves no process and no mount behind, however it ends.
            alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
            debootstrap = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", TAG, str(root)]
            _run([*alone, *debootstrap], stop)
            for pattern in _TRIMMED:
                for path in root.glob(pattern):
                    _remove(path)
            for path in (root / "usr/share/doc").glob("*/*"):
                if path.name != "copyright":
                    _remove(path)
            # Files get one fixed time below, and Python compares times. Compiled by content, its library loads at once.
            compiling = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", f"/usr/lib/python{PYTHON}"]
            _run(["chroot", str(root), "python3", *compiling], stop, check=False)
            _settle(root)
            oci.write_tar(target, root, stop.check)

    return _layer(_debian_file(store), make, stop)


def _settle(root: Path) -> None:
    """Remove the day of the build from the shadow file, and give the server's user a name and a home."""
    shadow = root / "etc/shadow"
    lines = [line.split(":") for line in shadow.read_text().splitlines()]
    shadow.write_text("".join(":".join([*line[:2], "1", *line[3:]]) + "\n" for line in lines))
    for path in (root / "etc").glob("*-"):  # backups of the user files
        path.unlink()
    with (root / "etc/passwd").open("a") as users:
        users.write(f"homeport:x:{UID}:{UID}::/tmp:/usr/sbin/nologin\n")
    with (root / "etc/group").open("a") as groups:
        groups.write(f"homeport:x:{UID}:\n")


def _wheel_layer(store: Path, progress: Progress, stop: Stop) -> Layer:
    """The server's wheel from this checkout, in a place where pip finds it, because no package index has it."""
    key = _key("wheel", _content(SERVER), _content(SERVER.parent / "pyproject.toml"))

    def make(target: Path) -> None:
        progress("wheel of the server")
        with _scratch(store) as root:
            source = root / "source"
            shutil.copytree(SERVER.parent, source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
            wheels = root / "made" / _WHEELS
            wheels.mkdir(parents=True)
            building = ["build", "--quiet", "--wheel", "--out-dir", str(wheels), str(source)]
            _run([sys.executable, "-m", "uv", *building], stop)
            (wheels / ".gitignore").unlink(missing_ok=True)
            oci.write_tar(target, root / "made", stop.check)

    return _layer(_file(store, "wheel", key), make, stop)


def _environment(requirements: Path, store: Path, progress: Progress) -> Path:
    place = store / "environments" / _key("environment", _content(requirements), platform.machine())[:16]
    python = place / "bin" / "python"
    done = place / "complete"
    if not done.exists():
        progress("Python environment with the locked libraries")
        shutil.rmtree(place, ignore_errors=True)
        _run([_interpreter(), "-m", "venv", str(place)], Stop())
        options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--quiet"]
        _run([str(python), "-m", "pip", "install", *options, "-r", str(requirements)], Stop())
        done.touch()
    return python


# How the cache keeps a layer


def _file(store: Path, kind: str, key: str) -> Path:
    return store / "layers" / f"{kind}-{key[:16]}.tar.gz"


def _digests(file: Path) -> Path:
    """Write the digests beside the layer, in a file that appears last."""
    return file.with_suffix(".json")


def _is_made(file: Path) -> bool:
    return _digests(file).exists()


def _layer(file: Path, make: Callable[[Path], None], stop: Stop) -> Layer:
    """The layer in the cache, which is made if it is missing."""
    if not _is_made(file):
        file.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent.parent, prefix="scratch-") as tar:
            make(Path(tar.name))
            with gzip.GzipFile(file, "wb", compresslevel=6, mtime=0) as compressed:
                while chunk := tar.read(_CHUNK):
                    stop.check()
                    compressed.write(chunk)
            replace(_digests(file), json.dumps([oci.digest(file), oci.digest(Path(tar.name))]))
    digest, content = json.loads(_digests(file).read_text())
    return Layer(file, digest, content)


# Small helpers


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join([str(_RECIPE), *parts]).encode()).hexdigest()


def _content(path: Path) -> str:
    """The digest of a file, or of a folder's files with their names."""
    if path.is_file():
        return oci.digest(path)
    files = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return _key(*(f"{file.relative_to(path)} {oci.digest(file)}" for file in files))


def _interpreter() -> str:
    """A Python of the image's version, because a model's file and compiled code only work with one version."""
    if platform.python_version().startswith(f"{PYTHON}."):
        return sys.executable
    found = shutil.which(f"python{PYTHON}")
    if not found:
        raise SandboxError(
            f"Python {PYTHON} is needed, because the image has it; install it, for example: uv python install {PYTHON}"
        )
    return found


def _run(command: list[str], stop: Stop, *, check: bool = True) -> None:
    """Run a tool; its output is shown only when it fails."""
    # With random hashes, the order of a set in compiled code differs between builds.
    environment = {**os.environ, "PATH": _system_path(), "PYTHONHASHSEED": "0"}
    done = run(command, stop, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if check and done.returncode != 0:
        raise SandboxError(f"{' '.join(command)} failed with exit code {done.returncode}:\n{done.stdout[-4000:]}")


def _system_path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def _scratch(store: Path) -> Iterator[Path]:
    """A temporary folder on the disk of the cache, because hundreds of megabytes are too much for /tmp."""
    with tempfile.TemporaryDirectory(dir=store, prefix="scratch-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path
