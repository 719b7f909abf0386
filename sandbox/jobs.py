"""Work beside other work, in threads: the first that fails, or Ctrl-C, ends all of it at once."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError

_POLL_SECONDS = 0.2


class StoppedError(SandboxError):
    """The work did not fail itself."""


class Stop(threading.Event):
    """Set when all work is to end."""

    def check(self) -> None:
        """For loops without an end of their own in sight.

        Raises:
            StoppedError: The work is to end.
        """
        if self.is_set():
            raise StoppedError("stopped, because other work failed or was interrupted")


@dataclass
class Job:
    """What one worker does."""

    title: str
    """What comes of it, for the user who waits."""
    work: Callable[[Stop], None]
    running: bool = False


def run_all(lanes: Sequence[tuple[int, Sequence[Job]]]) -> None:
    """Does the jobs of all lanes, each lane with its number of workers and in its order.

    Raises:
        Exception: What the first job that failed has raised; it stops the others.
    """
    stop = Stop()
    futures: list[Future[None]] = []
    with ExitStack() as stack:
        for workers, lane in lanes:
            pool = stack.enter_context(ThreadPoolExecutor(workers))
            futures += [pool.submit(_guarded, job, stop) for job in lane]
        stack.callback(stop.set)  # before the pools wait for their workers
        wait(futures)
    failures = [failure for future in futures if (failure := future.exception())]
    for failure in sorted(failures, key=lambda failure: isinstance(failure, StoppedError)):
        raise failure


def _guarded(job: Job, stop: Stop) -> None:
    stop.check()
    job.running = True
    try:
        job.work(stop)
    except BaseException:
        stop.set()
        raise
    finally:
        job.running = False


def run(command: Sequence[str], stop: Stop, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Runs a command as `subprocess.run` does, and ends it with all that it has begun when `stop` is set.

    Raises:
        StoppedError: It was ended.
    """
    # In a session of its own it can be ended with all of its children; the terminal's Ctrl-C comes to us.
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True, start_new_session=True, **options) as process:
        try:
            while True:
                try:
                    output, _ = process.communicate(timeout=_POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    stop.check()
                else:
                    return subprocess.CompletedProcess(command, process.returncode, output)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def locked(file: Path, stop: Stop) -> Iterator[None]:
    """Two processes never make the same thing: the second waits and finds it made.

    Raises:
        StoppedError: Nobody needs it any more.
    """
    with file.open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stop.wait(_POLL_SECONDS)
                stop.check()
            else:
                break
        yield


def end_in_order() -> None:
    """Lets a request to end be an exception, as Ctrl-C is one: what runs beside us ends too, and is cleared away."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores one
            signal.signal(number, _end)


def _end(number: int, _: object) -> None:
    sys.stderr.write(f"ended by {signal.Signals(number).name}\n")
    sys.exit(128 + number)
