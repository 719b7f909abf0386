"""The control group that holds the sandbox's pods."""

import time
from pathlib import Path

from sandbox.errors import SandboxError

_ROOT = Path("/sys/fs/cgroup")
_CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
_REMOVE_SECONDS = 20.0


def _hierarchies() -> list[Path]:
    """One directory with cgroup v2, or one for each controller with v1 (some are symbolic links to others)."""
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return [entry for entry in _ROOT.iterdir() if entry.is_dir() and not entry.is_symlink()]


def create(name: str) -> None:
    """Create the group in every hierarchy, because the kubelet requires it."""
    for hierarchy in _hierarchies():
        if hierarchy == _ROOT:
            available = (_ROOT / "cgroup.controllers").read_text().split()
            wanted = [f"+{controller}" for controller in _CONTROLLERS if controller in available]
            (_ROOT / "cgroup.subtree_control").write_text(" ".join(wanted))
        (hierarchy / name).mkdir(exist_ok=True)


def delete(name: str) -> None:
    """Remove the group and all groups in it, once their processes have ended."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    for group in [hierarchy / name for hierarchy in _hierarchies()]:
        # The deepest groups first. A group's files do not prevent its removal.
        below = list(group.rglob("*/")) if group.exists() else []
        for path in [*sorted(below, key=lambda path: -len(path.parts)), group]:
            _remove(path, deadline)


def _remove(path: Path, deadline: float) -> None:
    while True:
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:  # busy: the kernel is still removing the last process
            if time.monotonic() > deadline:
                raise SandboxError(f"cannot remove {path}: {error}") from error
            time.sleep(0.05)
        else:
            return
