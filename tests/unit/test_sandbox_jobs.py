"""Work beside other work: what the first failure and Ctrl-C do to the rest."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from homeport.lock import locked
from sandbox import SandboxError, jobs
from sandbox.jobs import Job, Stop, StoppedError

SLEEP = ["sh", "-c", "sleep 60 & echo $! > child; wait"]


def fail(_: Stop) -> None:
    raise SandboxError("the disk is full")


def sleep(stop: Stop) -> None:
    jobs.run(["sleep", "60"], stop)


def test_first_failure_stops_the_rest_with_its_own_message() -> None:
    begun = time.monotonic()
    with pytest.raises(SandboxError, match="the disk is full"):
        jobs.run_all([[Job("sleeps", sleep), Job("never begins", sleep)], [Job("fails", fail)]])
    assert time.monotonic() - begun < 50


def test_lanes_are_side_by_side_and_each_keeps_its_order() -> None:
    both, order = threading.Barrier(2, timeout=60), []

    def work(name: str) -> Job:
        def meet(_: Stop) -> None:
            both.wait()  # for the job of the other lane
            order.append(name)

        return Job(name, meet)

    jobs.run_all([[work("a1"), work("a2")], [work("b1"), work("b2")]])
    assert [name for name in order if name.startswith("a")] == ["a1", "a2"]
    assert {*order[:2]} == {"a1", "b1"}


def test_a_job_says_whether_it_runs() -> None:
    seen = []
    job = Job("looks at itself", lambda _: seen.append(job.running))
    assert not job.running
    jobs.run_all([[job]])
    assert seen == [True]
    assert not job.running


def test_a_stopped_command_ends_with_its_children(tmp_path: Path) -> None:
    stop = Stop()
    threading.Timer(0.5, stop.set).start()
    with pytest.raises(StoppedError):
        jobs.run(SLEEP, stop, cwd=tmp_path)
    assert ended(int((tmp_path / "child").read_text()))


def test_a_command_gives_what_it_printed_and_its_code() -> None:
    done = jobs.run(["sh", "-c", "echo said; exit 3"], Stop(), stdout=subprocess.PIPE)
    assert (done.stdout, done.returncode) == ("said\n", 3)


def test_who_waits_for_a_lock_can_be_stopped(tmp_path: Path) -> None:
    stop = Stop()
    threading.Timer(0.3, stop.set).start()
    with locked(tmp_path / "lock"), pytest.raises(StoppedError), locked(tmp_path / "lock", stop.check):
        pass


INTERRUPTED = """
import signal
from sandbox import jobs

# As a terminal starts it, however these tests were started.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
jobs.end_in_order()
jobs.run_all([[jobs.Job("sleeps", lambda stop: jobs.run(%r, stop))]])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_program_leaves_nobody_behind(tmp_path: Path, number: signal.Signals) -> None:
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'components'}"}
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED % SLEEP],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        child = tmp_path / "child"
        while not (child.exists() and child.read_text().strip()):
            assert program.poll() is None
            time.sleep(0.05)
        program.send_signal(number)
        _, said = program.communicate(timeout=60)
        assert program.returncode != 0
        assert ("KeyboardInterrupt" if number == signal.SIGINT else f"ended by {number.name}") in said
    assert ended(int(child.read_text()))


def ended(pid: int) -> bool:
    """Within a moment: the kernel buries it when we have gone on."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
