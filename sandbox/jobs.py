"""Runs jobs at the same time in threads. The first failure, or Ctrl-C, stops all of them at once."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from sandbox.errors import SandboxError

_POLL_SECONDS = 0.2


class StoppedError(SandboxError):
    """The work was stopped; it did not fail itself."""


class Stop(threading.Event):
    """Set when all work must stop."""

    def check(self) -> None:
        """Check for a stop, in loops that may run for a long time.

        Raises:
            StoppedError: The work must stop.
        """
        if self.is_set():
            raise StoppedError("stopped, because other work failed or was interrupted")


@dataclass
class Job:
    """What one worker does."""

    title: str
    """What the job makes, for the waiting user."""
    work: Callable[[Stop], None]
    running: bool = False


def run_all(lanes: Sequence[Sequence[Job]]) -> None:
    """Run the jobs of all lanes: the lanes at the same time, and the jobs of one lane one after another.

    Raises:
        Exception: The error of the first job that failed. It stops the others.
    """
    stop = Stop()
    futures: list[Future[None]] = []
    with ExitStack() as stack:
        try:
            for lane in lanes:
                pool = stack.enter_context(ThreadPoolExecutor(1))
                futures += [pool.submit(_guarded, job, stop) for job in lane]
            wait(futures)
        finally:
            stop.set()  # before the pools wait for their workers
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
    """Run a command as `subprocess.run` does, and end it with all of its child processes when `stop` is set.

    Raises:
        StoppedError: The command was ended.
    """
    # In its own session, it can be ended with all of its children, and the terminal's Ctrl-C only reaches us.
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


def end_in_order() -> None:
    """Turn a termination signal into an exception, like Ctrl-C, so that other work ends too and is cleaned up."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores one of them
            signal.signal(number, _end)


def _end(number: int, _: object) -> None:
    sys.stderr.write(f"ended by {signal.Signals(number).name}\n")
    sys.exit(128 + number)
