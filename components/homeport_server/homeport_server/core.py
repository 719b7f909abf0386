"""One core for both processes while requests are late, so that their priorities decide which of them runs.

A container with a limit of at most one core has that time for all its processes together. On two cores they would use it
up at once, whatever their priorities, and then both would stand still until the next period of the limit
(https://docs.kernel.org/scheduler/sched-bwc.html). At other times the kernel places them as it likes.
"""

import os
from pathlib import Path

_LATE_SECONDS = 0.1
"""Of the event loop. If it is later, something uses the container's whole time."""

_HELD_SECONDS = 10.0
"""From the last time that it was late."""


class Core:
    """The cores that this process and another may use."""

    def __init__(self, other: int) -> None:
        self._processes = (os.getpid(), other)
        self._shares = hasattr(os, "sched_setaffinity") and limit() <= 1  # Linux has it
        self._all = os.sched_getaffinity(0) if self._shares else set()
        self._until: float | None = None

    def notice(self, late: float, now: float) -> None:
        """Keep both on one core for a while if the event loop was late, by so many seconds."""
        if late > _LATE_SECONDS and self._shares:
            if self._until is None:
                self._allow({_current()})
            self._until = now + _HELD_SECONDS
        elif self._until is not None and now > self._until:
            self._until = None
            self._allow(self._all)

    def _allow(self, cores: set[int]) -> None:
        for process in self._processes:
            try:
                for thread in Path(f"/proc/{process}/task").iterdir():
                    os.sched_setaffinity(int(thread.name), cores)
            except OSError:  # a thread, or the process, has ended
                continue


def limit() -> float:
    """Cores that the container may use; infinite if that is not limited or not known."""
    try:
        groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return float("inf")
    for _, controllers, path in groups:
        if controllers in {"", "cpu", "cpu,cpuacct"}:
            root = Path("/sys/fs/cgroup") / controllers
            # In a container of cgroup v1, the path is the node's, and the group is at the root.
            for folder in (root / path.lstrip("/"), root):
                if (found := limit_of(folder)) is not None:
                    return found
    return float("inf")


def limit_of(group: Path) -> float | None:
    """The limit of a control group in cores, of v2 or v1; None if it has none."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):  # `max` is no number
        return None


def _current() -> int:
    """The core on which this process has just run: field 39 of https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html."""
    after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(after_name[36])
