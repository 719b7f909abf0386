"""The control group that holds the sandbox's pods."""

import time
from pathlib import Path

from sandbox.errors import SandboxError

_ROOT = Path("/sys/fs/cgroup")
_CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
_REMOVE_SECONDS = 20.0


def _hierarchies() -> list[Path]:
    """One directory with cgroup v2; with v1 one for each controller (some are symbolic links to others)."""
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return [entry for entry in _ROOT.iterdir() if entry.is_dir() and not entry.is_symlink()]


def create(name: str) -> None:
    """Makes the group in every hierarchy: the kubelet wants it to exist."""
    for hierarchy in _hierarchies():
        if hierarchy == _ROOT:
            available = (_ROOT / "cgroup.controllers").read_text().split()
            wanted = [f"+{controller}" for controller in _CONTROLLERS if controller in available]
            (_ROOT / "cgroup.subtree_control").write_text(" ".join(wanted))
        (hierarchy / name).mkdir(exist_ok=True)


def delete(name: str) -> None:
    """Removes the group and all groups in it, once their processes are gone."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    for group in [hierarchy / name for hierarchy in _hierarchies()]:
        # The deepest first; a group's files are no obstacle, and vanish with it.
        below = list(group.rglob("*/")) if group.exists() else []
        for path in [*sorted(below, key=lambda path: -len(path.parts)), group]:
            _remove(path, deadline)


def _remove(path: Path, deadline: float) -> None:
    while True:
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:  # busy: the kernel is still burying the last process
            if time.monotonic() > deadline:
                raise SandboxError(f"cannot remove {path}: {error}") from error
            time.sleep(0.05)
        else:
            return
