"""A lock between processes. The kernel holds it, and Windows is not supported."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.2


@contextmanager
def locked(file: Path, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Let one thread of one process at a time run the block.

    `waiting` is called repeatedly while another holds the lock, and may raise to give up. The kernel frees the lock of a
    killed process. The file stays, because removing it would let two processes run the block. It contains the number of the
    process that runs the block, or of the last one that did.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                time.sleep(_POLL_SECONDS)
            else:
                break
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield
