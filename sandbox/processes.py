"""Which process is which component: for `status` only.

Nothing is ever killed by these records: what belongs to a sandbox is what is in its namespaces, and the kernel knows it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from homeport.files import replace


@dataclass(frozen=True)
class Process:
    """A process, told apart from a later one with the same number by the time it began."""

    pid: int
    started: int


def parse_start_time(stat: str) -> int:
    """The start time, in clock ticks since boot, from the text of `/proc/<pid>/stat`.

    Fields are counted behind the last parenthesis: the command's name before it may contain anything.
    """
    return int(stat.rpartition(")")[2].split()[19])


def parse_records(text: str) -> dict[str, Process]:
    """Component -> process, from what `write` wrote."""
    return {component: Process(**record) for component, record in json.loads(text).items()}


def observe(pid: int) -> Process | None:
    """The process with this number, or None if there is none (or only its remains)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if stat.rpartition(")")[2].split()[0] == "Z":
        return None
    return Process(pid, parse_start_time(stat))


def alive(process: Process) -> bool:
    """Whether it still runs."""
    return observe(process.pid) == process


def read(file: Path) -> dict[str, Process]:
    """The records in `file`; none if it does not exist."""
    return parse_records(file.read_text()) if file.exists() else {}


def write(file: Path, records: dict[str, Process]) -> None:
    """Replaces the records in `file` at once."""
    replace(file, json.dumps({component: asdict(process) for component, process in records.items()}, indent=2))
