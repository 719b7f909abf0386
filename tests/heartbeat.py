"""A sign of life in a log: some tests take longer than those who wait for a line believe that anything happens."""

import threading
import time
from collections.abc import Callable, Mapping

QUIET_SECONDS = 25.0


class Heartbeat:
    """A plugin of pytest that tells what runs whenever no test has ended for a while."""

    def __init__(self, write: Callable[[str], object], seconds: float = QUIET_SECONDS) -> None:
        self._write, self._seconds = write, seconds
        self._running: dict[str, float] = {}
        self._news = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Called where the report is made, also of tests that run in workers."""
        self._running[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """The dot of the test is a sign of life."""
        self._running.pop(nodeid, None)
        self._news.set()

    def pytest_unconfigure(self) -> None:
        """Nothing is written after the end."""
        self._over = True
        self._news.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over:
            if not self._news.wait(self._seconds):
                self._write(line(dict(self._running), time.monotonic()))
            self._news.clear()


def line(running: Mapping[str, float], now: float) -> str:
    """What runs, and for how long."""
    told = [f"{test.removeprefix('tests/')} for {now - begun:.0f} s" for test, begun in running.items()]
    return f"\n  running: {', '.join(told) or 'no test yet'}\n"
