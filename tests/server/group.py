"""A control group that limits a server as a node limits a container, with cgroup v1 or v2."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.cgroups import delete

_ROOT = Path("/sys/fs/cgroup")
_PERIOD = 100_000
_JOIN = 'for group in $GROUPS_TO_JOIN; do echo $$ > "$group/cgroup.procs" || exit 1; done; exec "$@"'


@dataclass(frozen=True)
class Group:
    """The folders of the group: one with v2, one for each controller with v1."""

    folders: tuple[Path, ...]

    def command(self, *program: str) -> list[str]:
        """A command that runs the program in the group from its start."""
        groups = " ".join(map(str, self.folders))
        return ["env", f"GROUPS_TO_JOIN={groups}", "sh", "-c", _JOIN, "sh", *program]

    def resident(self) -> int:
        """Bytes that its processes have in memory, shared ones counted once for each that shares them."""
        pids = (self.folders[-1] / "cgroup.procs").read_text().split()
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def group(cpus: float, memory: int) -> Iterator[Group]:
    """A group of so many cpus and bytes; the test is skipped where none can be made.

    It gets its cpus also while the machine has other work, as a container gets what it requests.
    """
    name = f"homeport-test-{os.getpid()}-{time.monotonic_ns()}"
    one = (_ROOT / "cgroup.controllers").exists()
    folders = [_ROOT / name] if one else [_ROOT / "cpu" / name, _ROOT / "memory" / name]
    quota = str(int(cpus * _PERIOD))
    try:
        for folder in folders:
            folder.mkdir()
        if one:
            (folders[0] / "cpu.max").write_text(f"{quota} {_PERIOD}")
            (folders[0] / "memory.max").write_text(str(memory))
            (folders[0] / "cpu.weight").write_text("10000")
        else:
            (folders[0] / "cpu.cfs_period_us").write_text(str(_PERIOD))
            (folders[0] / "cpu.cfs_quota_us").write_text(quota)
            (folders[0] / "cpu.shares").write_text("262144")
            (folders[1] / "memory.limit_in_bytes").write_text(str(memory))
    except OSError as error:
        delete(name)
        pytest.skip(f"no control group can be made here: {error}")
    try:
        yield Group(tuple(folders))
    finally:
        delete(name)
