"""Who is answered next, who is not computed at all, and what happens when the model takes too long or ends."""

import concurrent.futures
import json
import select
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.server.client import Answer, answer
from tests.server.conftest import Server, Start
from tests.support import until

_WORKING = """
import os, re, time

def predict(what: str, seconds: float = 0) -> float:
    with open("calls", "a") as calls:
        calls.write(what[:20].strip() + "\\n")
    time.sleep(seconds)
    while what == "held" and not os.path.exists("released"):
        time.sleep(0.01)
    if what == "lock":
        re.match(r"(a+)+$", "a" * 25 + "b")  # keeps Python's lock for seconds
    if what == "end":
        os._exit(3)
    return seconds
"""


@pytest.fixture
def working(tmp_path: Path) -> Path:
    """A model that does what a request says, and writes it down."""
    (tmp_path / "model.py").write_text(_WORKING)
    return tmp_path


SECONDS = 30
"""Much longer than what is awaited takes."""

VARIABLES = {"HOMEPORT_SERVE": "model:predict", "MLSERVER_MODEL_NAME": "iris"}


def body(what: str, seconds: float = 0) -> str:
    inputs = [
        {"name": "what", "datatype": "BYTES", "shape": [1], "data": [what]},
        {"name": "seconds", "datatype": "FP64", "shape": [1], "data": [seconds]},
    ]
    return json.dumps({"inputs": inputs})


def ask(server: Server, what: str, seconds: float = 0) -> Answer:
    return server.send(body(what, seconds))


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines() if (folder / "calls").exists() else []


Hold = Callable[[Server], socket.socket]


@pytest.fixture
def hold(working: Path) -> Hold:
    """Sends a request that the model computes until the file `released` is there."""

    def held(server: Server) -> socket.socket:
        connection = server.begin(body("held"))
        until(lambda: calls(working) == ["held"], SECONDS)
        return connection

    return held


def test_who_hung_up_is_not_computed(start: Start, working: Path, hold: Hold) -> None:
    with start(working, **VARIABLES) as server, hold(server) as first:
        for _ in range(25):
            server.begin(body("gone")).close()
        with server.begin(body("next")) as following:
            server.has_read_all()
            (working / "released").touch()
            assert [answer(first).status, answer(following).status] == [200, 200]
        assert calls(working) == ["held", "next"]
        assert 'status_code="503"' not in server.metrics()  # nor is it refused


def test_large_requests_keep_no_small_one_waiting(start: Start, working: Path, hold: Hold) -> None:
    with start(working, **VARIABLES) as server, hold(server) as first, ExitStack() as stack:
        sent = [*["large" + " " * 40_000] * 6, *["small"] * 2]
        waiting = [stack.enter_context(server.begin(body(what))) for what in sent]
        server.has_read_all()
        (working / "released").touch()
        assert {answer(each).status for each in [first, *waiting]} == {200}
        assert calls(working) == ["held", *["small", "large"] * 2, *["large"] * 4]


def refusals(connections: Sequence[socket.socket]) -> list[bytes]:
    """The answers that are there already."""
    there, _, _ = select.select(connections, [], [], 0)
    found = [connection.recv(65536) for connection in there]
    assert all(each.startswith(b"HTTP/1.1 503 ") for each in found)
    assert all(each.endswith(b' requests wait already; accepted: the same request later"}') for each in found)
    return found


def test_the_queue_is_bounded_by_the_time_that_it_takes(start: Start, working: Path, hold: Hold) -> None:
    with start(working, HOMEPORT_DRAIN_SECONDS="4", **VARIABLES) as server, ExitStack() as stack:
        for _ in range(3):  # now it is known how long a request takes
            ask(server, "known", 1)
        (working / "calls").unlink()
        stack.enter_context(hold(server))
        connections = [stack.enter_context(server.begin(body("many", 1))) for _ in range(30)]
        server.has_read_all()
        found = refusals(connections)
        assert 30 - 4 < len(found) < 30  # the one that is computed takes one of the four seconds
        assert all(b"\r\nretry-after: 4\r\n" in each.lower() for each in found)
        (working / "released").touch()


def test_the_queue_is_bounded_by_number(start: Start, working: Path, hold: Hold) -> None:
    with start(working, **VARIABLES) as server, hold(server), ExitStack() as stack:
        connections = [stack.enter_context(server.begin(body("many"))) for _ in range(270)]
        server.has_read_all()
        found = refusals(connections)
        assert len(found) == 270 - 256
        assert all(b"256 requests wait already" in each for each in found)
        (working / "released").touch()


def test_a_request_that_takes_too_long_is_told_so(start: Start, working: Path, hold: Hold) -> None:
    with start(working, HOMEPORT_DRAIN_SECONDS="1", **VARIABLES) as server, hold(server) as long:
        waiting = ask(server, "waiting")
        assert (waiting.status, waiting.body) == (
            503,
            {"error": "no turn within 1 seconds; accepted: the same request later"},
        )
        told = answer(long)
        assert (told.status, told.body) == (
            504,
            {"error": "the answer takes longer than 1 seconds; accepted: less work in one request"},
        )
        (working / "released").touch()
        until(lambda: ask(server, "after").status == 200, SECONDS)
        assert "waiting" not in calls(working)


def test_health_is_answered_while_the_model_keeps_pythons_lock(start: Start, working: Path) -> None:
    with (
        start(working, HOMEPORT_DRAIN_SECONDS="120", **VARIABLES) as server,
        concurrent.futures.ThreadPoolExecutor() as senders,
    ):
        computing = senders.submit(ask, server, "lock")
        until(lambda: calls(working) == ["lock"], SECONDS)
        for _ in range(5):
            assert server.get("/v2/health/live").status == 200
            assert server.get("/v2/health/ready").status == 200
        assert not computing.done()
        assert computing.result().status == 200


def test_a_model_that_ends_its_process_ends_the_server(start: Start, working: Path) -> None:
    with start(working, **VARIABLES) as server:
        answer = ask(server, "end")
        assert (answer.status, answer.body) == (
            500,
            {"error": "the model's process ended while it computed the answer; see its log"},
        )
        assert server.process.wait(timeout=20) == 1
        assert "the model's process ended with code 3" in server.log.read_text()


def test_no_process_is_left_when_the_server_is_killed(start: Start, working: Path) -> None:
    with start(working, **VARIABLES) as server:
        pid = server.process.pid
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        server.process.kill()
        server.process.wait()
        until(lambda: not Path(f"/proc/{child}").exists(), SECONDS)
