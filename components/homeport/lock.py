"""One at a time: a lock that the kernel holds, so not for Windows."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.2


@contextmanager
def locked(file: Path, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Lets one process, and one thread of it, pass at a time.

    `waiting` is called as long as another one is there, and may raise to give up. The lock of a killed process is free again. The file stays, because removing it would let two pass.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                time.sleep(_POLL_SECONDS)
            else:
                break
        yield
