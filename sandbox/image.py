"""What images are built on, where no public base image can be had: Debian with its Python, and the server's wheel.

Two layers, each kept in the cache under the hash of what it is made from; the tools are Debian's debootstrap and uv. What
no tool does reproducibly and without a daemon is in `oci`.
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
from sandbox import progress as console
from sandbox.errors import SandboxError
from sandbox.oci import Layer

Progress = Callable[[str], None]

SERVER = Path(__file__).resolve().parent.parent / "components" / "homeport_server" / "homeport_server"
PYTHON = "3.11"  # Debian 12's own
NAME = f"base/python-{PYTHON}"
TAG = "bookworm"  # the release of Debian too
_PACKAGES = "python3,python3-venv,ca-certificates"
_WHEELS = "opt/homeport/wheels"
# Grows when this file makes a layer differently from the same inputs; else a cache would hand out the old one.
_RECIPE = 3
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


def make_base(cache: Path, progress: Progress) -> None:
    """Make the base image, unless it is in the cache: about a minute, once."""
    _base(cache, progress)


def push_base(registry: str, cache: Path, progress: Progress) -> None:
    """Put the base image into a registry without encryption, at `host:port`; what is there already is not sent again."""
    made = oci.image(
        _base(cache, progress),
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
    """The Python of an environment with exactly the locked libraries: for training, and for tests of the server."""
    store = _store(cache)
    with locked(store / "lock"):
        return _environment(requirements, store, progress)


def _store(cache: Path) -> Path:
    store = cache / "images"
    store.mkdir(parents=True, exist_ok=True)
    return store


# What each layer is made of


def _base(cache: Path, progress: Progress) -> list[Layer]:
    store = _store(cache)
    with locked(store / "lock"):
        return [_debian_layer(store, progress), _wheel_layer(store, progress)]


def _debian_layer(store: Path, progress: Progress) -> Layer:
    key = _key("base", _PACKAGES, platform.machine())

    def make(target: Path) -> None:
        progress("Debian base (once, about a minute)")
        machine.require_root()
        machine.require_packages(machine.IMAGE_PACKAGES, console.Progress())
        with _scratch(store) as root:
            _run(["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", TAG, str(root)])
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
            oci.write_tar(target, root)

    return _layer(store, "base", key, make)


def _settle(root: Path) -> None:
    """Take the day of the build out of the passwords' file, and give the server's user a name and a home."""
    shadow = root / "etc/shadow"
    lines = [line.split(":") for line in shadow.read_text().splitlines()]
    shadow.write_text("".join(":".join([*line[:2], "1", *line[3:]]) + "\n" for line in lines))
    for path in (root / "etc").glob("*-"):  # backups of the user files
        path.unlink()
    with (root / "etc/passwd").open("a") as users:
        users.write(f"homeport:x:{UID}:{UID}::/tmp:/usr/sbin/nologin\n")
    with (root / "etc/group").open("a") as groups:
        groups.write(f"homeport:x:{UID}:\n")


def _wheel_layer(store: Path, progress: Progress) -> Layer:
    """The server from this checkout, where pip finds it: it is in no package index."""
    key = _key("wheel", _content(SERVER), _content(SERVER.parent / "pyproject.toml"))

    def make(target: Path) -> None:
        progress("wheel of the server")
        with _scratch(store) as root:
            source = root / "source"
            shutil.copytree(SERVER.parent, source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
            wheels = root / "made" / _WHEELS
            wheels.mkdir(parents=True)
            _run([sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "--out-dir", str(wheels), str(source)])
            (wheels / ".gitignore").unlink(missing_ok=True)
            oci.write_tar(target, root / "made")

    return _layer(store, "wheel", key, make)


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


# How a layer is kept


def _layer(store: Path, kind: str, key: str, make: Callable[[Path], None]) -> Layer:
    """The layer in the cache, made if it is absent. Its digests stand beside it, in a file that appears last."""
    file = store / "layers" / f"{kind}-{key[:16]}.tar.gz"
    digests = file.with_suffix(".json")
    if not digests.exists():
        file.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=store, prefix="scratch-") as tar:
            make(Path(tar.name))
            with gzip.GzipFile(file, "wb", compresslevel=6, mtime=0) as compressed:
                shutil.copyfileobj(tar, compressed)
            replace(digests, json.dumps([oci.digest(file), oci.digest(Path(tar.name))]))
    digest, content = json.loads(digests.read_text())
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
    """A Python of the image's version: a model's file and compiled code are only good for one."""
    if platform.python_version().startswith(f"{PYTHON}."):
        return sys.executable
    found = shutil.which(f"python{PYTHON}")
    if not found:
        raise SandboxError(
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
        raise SandboxError(f"{' '.join(command[:4])} ... ended with {done.returncode}:\n{done.stdout[-4000:]}")


def _system_path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


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
