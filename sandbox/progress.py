"""Shows progress to the user: one line for each finished step, and regular signs of activity during long ones."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

_REFRESH_SECONDS = 0.5
_QUIET_SECONDS = 20.0  # interval of lines about a long step in a log (no terminal)
_SPINNER_WIDTH = 3


def duration(seconds: float) -> str:
    """`3.2s`, `1m20s`."""
    return f"{seconds:.1f}s" if seconds < 60 else f"{int(seconds) // 60}m{int(seconds) % 60:02d}s"


class Progress:
    """Reports on standard error, so that standard output stays for results."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._last = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._last = time.monotonic()
        self._console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show `title` during the work, and how long it took afterwards."""
        begun = time.monotonic()
        with self.live(lambda: f"{title}: {time.monotonic() - begun:.0f}s"):
            yield
        self.say(f"{title:<44} {duration(time.monotonic() - begun):>7}")

    @contextmanager
    def live(self, describe: Callable[[], str]) -> Iterator[None]:
        """Show the result of `describe` during the work: one changing line, or a line now and then in a log."""
        ended = threading.Event()

        def log() -> None:
            while not ended.wait(_REFRESH_SECONDS):
                if time.monotonic() - self._last >= _QUIET_SECONDS:
                    self.say(describe())

        def show() -> None:
            width = self._console.width - _SPINNER_WIDTH
            with self._console.status("") as status:
                while True:
                    line = Text(describe())
                    line.truncate(width, overflow="ellipsis")
                    status.update(line)
                    if ended.wait(_REFRESH_SECONDS):
                        return

        # Only a terminal that can move its cursor can show a changing line.
        thread = threading.Thread(target=show if self._console.is_interactive else log)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
