"""The sign of life of a lane whose tests take long."""

import time

from tests.heartbeat import Heartbeat, line


def test_what_runs_is_told_only_while_no_test_ends() -> None:
    told: list[str] = []
    heartbeat = Heartbeat(told.append, seconds=0.2)
    heartbeat.pytest_runtest_logstart("tests/cluster/test_change.py::test_update")
    deadline = time.monotonic() + 20
    while not told:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "running: cluster/test_change.py::test_update for 0 s" in told[0]
    heartbeat.pytest_runtest_logfinish("tests/cluster/test_change.py::test_update")
    heartbeat.pytest_unconfigure()
    before = len(told)
    time.sleep(0.4)
    assert len(told) == before


def test_tests_of_all_workers_are_told_and_none_before_the_first() -> None:
    running = {"tests/a/test_a.py::test_one[x/y]": 10.0, "tests/b/test_b.py::test_two": 30.0}
    assert line(running, 40.0) == "\n  running: a/test_a.py::test_one[x/y] for 30 s, b/test_b.py::test_two for 10 s\n"
    assert "no test yet" in line({}, 0.0)
