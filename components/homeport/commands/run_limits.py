"""Limits a process to the cpu and memory of a replica, as far as this machine supports it, and reports how far.

With a systemd user instance, the limits are those of a cgroup, exactly as in a cluster. Otherwise the kernel limits how
much memory the process may allocate and on which cores it may run.
"""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from homeport.specs.quantities import byte_count, cpu_quantity, millicores

_PROBE = 'group=/sys/fs/cgroup$(cut -d: -f3- /proc/self/cgroup); cat "$group/cpu.max" "$group/memory.max"'
"""Reads the limits from the cgroup itself, because systemd ignores a limit whose controller the user may not use."""


@dataclass(frozen=True)
class Limits:
    """How a process is limited, and lines that describe it."""

    command: tuple[str, ...]
    """Command that starts the process; empty if the process limits itself."""
    apply: Callable[[], None]
    """Limits this process and every program that it executes."""
    lines: tuple[str, ...]


def limits(cpu: str, memory: str) -> Limits:
    """The limits on this machine for a cpu and a memory quantity."""
    scope = _scope(millicores(cpu), byte_count(memory))
    if scope:
        return Limits(tuple(scope), lambda: None, (f"cpu {cpu} and memory {memory}: limited, as when deployed",))
    cores = _cores(millicores(cpu))
    # macOS accepts the limit but does not enforce it.
    bounded = sys.platform == "linux"

    def apply() -> None:
        if bounded:
            resource.setrlimit(resource.RLIMIT_DATA, (byte_count(memory), byte_count(memory)))
        if cores:
            os.sched_setaffinity(0, cores)

    return Limits((), apply, (_cpu_line(cpu, cores), _memory_line(memory, bounded=bounded)))


def _cpu_line(cpu: str, cores: set[int] | None) -> str:
    if cores is None:
        return f"cpu {cpu}: not limited, because this machine cannot do it"
    most = cpu_quantity(len(cores) * 1000)
    held = "limited" if most == cpu else f"limited to {most}, because this machine can only limit whole cores"
    return f"cpu {cpu}: {held}"


def _memory_line(memory: str, *, bounded: bool) -> str:
    if not bounded:
        return f"memory {memory}: not limited, because this machine cannot do it"
    return f"memory {memory}: limited; above it Python raises MemoryError here, and the process is killed when deployed"


def _cores(thousandths: int) -> set[int] | None:
    """The cores to run on; None if a process cannot be bound to cores."""
    if sys.platform != "linux":
        return None
    return set(sorted(os.sched_getaffinity(0))[: ceil(thousandths / 1000)])


def _scope(thousandths: int, memory: int) -> list[str] | None:
    """The command that starts a process in a cgroup with both limits; None if that is not available."""
    if not shutil.which("systemd-run"):
        return None
    properties = [f"CPUQuota={ceil(thousandths / 10)}%", f"MemoryMax={memory}", "MemorySwapMax=0"]
    command = ["systemd-run", "--user", "--scope", "--quiet", *(f"--property={each}" for each in properties), "--"]
    try:
        done = subprocess.run([*command, "sh", "-c", _PROBE], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = done.stdout.split()  # microseconds in each period, the period, bytes
    return command if len(found) == 3 and found[0] != "max" and found[2] == str(memory) else None
