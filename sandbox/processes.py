"""Records which process is which component, for `status` only.

No process is killed based on these records. The kernel knows which processes are in a sandbox's namespaces.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from homeport.files import replace


@dataclass(frozen=True)
class Process:
    """A process. Its start time distinguishes it from a later process with the same number."""

    pid: int
    started: int


def parse_start_time(stat: str) -> int:
    """The start time, in clock ticks since boot, from the text of `/proc/<pid>/stat`.

    Fields are counted after the last parenthesis, because the command's name before it may contain any character.
    """
    return int(stat.rpartition(")")[2].split()[19])


def parse_records(text: str) -> dict[str, Process]:
    """Component -> process, as `write` recorded it."""
    return {component: Process(**record) for component, record in json.loads(text).items()}


def observe(pid: int) -> Process | None:
    """The process with this number, or None if there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if stat.rpartition(")")[2].split()[0] == "Z":
        return None
    return Process(pid, parse_start_time(stat))


def alive(process: Process) -> bool:
    """Whether the process still runs."""
    return observe(process.pid) == process


def read(file: Path) -> dict[str, Process]:
    """The records in `file`; empty if it does not exist."""
    return parse_records(file.read_text()) if file.exists() else {}


def write(file: Path, records: dict[str, Process]) -> None:
    """Replace the records in `file` in one step."""
    replace(file, json.dumps({component: asdict(process) for component, process in records.items()}, indent=2))
