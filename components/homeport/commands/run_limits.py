"""Holds a process to the cpu and memory that a replica gets, as far as this machine can, and says how far that is.

With a systemd of the user the limits are those of a cgroup, the very ones that a cluster sets. Elsewhere memory is
bounded by what the kernel lets a process allocate, and cpu by the cores that it may run on.
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
"""What holds is read from the cgroup itself: systemd passes over a limit whose controller the user may not use."""


@dataclass(frozen=True)
class Limits:
    """How a process is held, and what to tell of it."""

    command: tuple[str, ...]
    """What the process is started by; nothing where it limits itself."""
    apply: Callable[[], None]
    """Limits this process and all that it becomes."""
    lines: tuple[str, ...]


def limits(cpu: str, memory: str) -> Limits:
    """The limits of a cpu and a memory quantity on this machine."""
    scope = _scope(millicores(cpu), byte_count(memory))
    if scope:
        return Limits(tuple(scope), lambda: None, (f"cpu {cpu} and memory {memory}: limited, as when deployed",))
    cores = _cores(millicores(cpu))
    # macOS takes the limit and does not keep it.
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
    """The cores to run on; None where a process cannot be bound to some."""
    if sys.platform != "linux":
        return None
    return set(sorted(os.sched_getaffinity(0))[: ceil(thousandths / 1000)])


def _scope(thousandths: int, memory: int) -> list[str] | None:
    """The command that starts a process in a cgroup with both limits; None where that is not to be had."""
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
