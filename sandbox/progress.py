"""What the user sees of the work: one line for each finished step, and a sign of life during long ones."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

_QUIET_SECONDS = 20.0  # a log (no terminal) hears from a long step this often


def duration(seconds: float) -> str:
    """`3.2s`, `1m20s`."""
    return f"{seconds:.1f}s" if seconds < 60 else f"{int(seconds) // 60}m{int(seconds) % 60:02d}s"


class Progress:
    """Reports on standard error, so that standard output stays for results."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._last = time.monotonic()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._last = time.monotonic()
        self._console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Shows `title` while the work goes on, and afterwards how long it took."""
        begun = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(title):
                yield
        else:
            yield
        self.say(f"{title:<44} {duration(time.monotonic() - begun):>7}")

    @contextmanager
    def live(self) -> Iterator[Callable[[str], None]]:
        """For work whose description changes while it goes on: yields what replaces the description."""
        if self._console.is_terminal:
            with self._console.status("") as status:
                yield status.update
        else:
            yield self._now_and_then

    def _now_and_then(self, text: str) -> None:
        if time.monotonic() - self._last >= _QUIET_SECONDS:
            self.say(text)
