"""Returns freed memory to the system: glibc keeps what large requests took, so that they would leave the server larger."""

import ctypes
import sys


def trim() -> None:
    """Return what is free. It takes a few milliseconds, and does nothing without glibc."""
    if sys.platform == "linux":
        getattr(ctypes.CDLL(None), "malloc_trim", int)(0)
