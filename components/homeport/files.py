"""Files that several processes share: where they are kept, one at work on them at a time, nothing half written."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache() -> Path:
    """The directory of what is made once per machine: `$HOMEPORT_CACHE`, else the user's cache directory."""
    if own := os.environ.get("HOMEPORT_CACHE"):
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache").absolute() / "homeport"


@contextmanager
def locked(file: Path, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Lets one process, and one thread of it, pass at a time; `waiting` is called if another one is there.

    The kernel holds the lock: that of a killed process is free again. The file stays, for removing it would let two pass.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def replace(file: Path, content: str | bytes) -> None:
    """Replaces a file in one step: readers see the old content or the new, never a part.

    Raises:
        OSError: It cannot be written; the old content stays.
    """
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        scratch.write_bytes(content.encode() if isinstance(content, str) else content)
        scratch.replace(file)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
