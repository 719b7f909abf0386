"""Who is answered next, who is not computed at all, and what happens when the model takes too long or ends."""

import concurrent.futures
import http.client
import json
import socket
import time
from pathlib import Path

import pytest

from tests.server.attacks import request
from tests.server.client import INFER, Answer
from tests.server.conftest import Server, Start

_WORKING = """
import os, re, time

def predict(what: str, seconds: float = 0) -> float:
    with open("calls", "a") as calls:
        calls.write(what[:20] + "\\n")
    time.sleep(seconds)
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


VARIABLES = {"HOMEPORT_SERVE": "model:predict", "MLSERVER_MODEL_NAME": "iris"}


def body(what: str, seconds: float) -> bytes:
    inputs = [
        {"name": "what", "datatype": "BYTES", "shape": [1], "data": [what]},
        {"name": "seconds", "datatype": "FP64", "shape": [1], "data": [seconds]},
    ]
    return json.dumps({"inputs": inputs}).encode()


def ask(server: Server, what: str, seconds: float) -> Answer:
    return server.send(body(what, seconds))


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def test_who_hung_up_is_not_computed(start: Start, working: Path) -> None:
    with start(working, **VARIABLES) as server, concurrent.futures.ThreadPoolExecutor() as senders:
        first = senders.submit(ask, server, "first", 1.0)
        time.sleep(0.3)
        for _ in range(25):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(request(body("gone", 1.0)))
        assert ask(server, "next", 0).status == 200
        assert first.result().status == 200
        assert calls(working) == ["first", "next"]


def test_large_requests_keep_no_small_one_waiting(start: Start, working: Path) -> None:
    with start(working, **VARIABLES) as server, concurrent.futures.ThreadPoolExecutor(20) as senders:
        waiting = [senders.submit(ask, server, "first", 0.5)]
        time.sleep(0.2)
        waiting += [senders.submit(ask, server, f"large{' ' * 40_000}", 0.1) for _ in range(6)]
        time.sleep(0.2)
        waiting += [senders.submit(ask, server, "small", 0.1) for _ in range(2)]
        assert {each.result().status for each in waiting} == {200}
        assert [each.strip() for each in calls(working)] == ["first", *["small", "large"] * 2, *["large"] * 4]


def test_the_queue_is_bounded_by_the_time_that_it_takes(start: Start, working: Path) -> None:
    with (
        start(working, HOMEPORT_DRAIN_SECONDS="2", **VARIABLES) as server,
        concurrent.futures.ThreadPoolExecutor(30) as senders,
    ):
        for _ in range(10):  # now it is known how long a request takes
            ask(server, "known", 0.2)
        begun = time.monotonic()
        waiting = [senders.submit(refusal, server, body("many", 0.2)) for _ in range(30)]
        found = [each.result() for each in waiting]
        assert time.monotonic() - begun < 4
        statuses = [status for status, _ in found]
        assert set(statuses) <= {200, 503, 504}  # 504 if the machine is slower than before
        assert 0 < statuses.count(200) < 15 < statuses.count(503)
        assert {retry for status, retry in found if status == 503} <= {"1", "2"}


def refusal(server: Server, sent: bytes) -> tuple[int, str | None]:
    """The status and the Retry-After of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", INFER, sent)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, response.getheader("Retry-After")


def test_the_queue_is_bounded_by_number(start: Start, working: Path) -> None:
    with start(working, **VARIABLES) as server:
        sent = request(body("many", 1.0))
        connections = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(270)]
        for connection in connections:
            connection.sendall(sent)
        time.sleep(1)
        heads = []
        for connection in connections:
            connection.setblocking(False)
            try:
                heads.append(connection.recv(65536))
            except BlockingIOError:
                heads.append(b"")
            connection.close()
        refused = [head for head in heads if head.startswith(b"HTTP/1.1 503 ")]
        assert 12 <= len(refused) <= 14
        assert all(b"256 requests wait already; accepted: the same request later" in head for head in refused)
        assert server.get("/v2/health/live").status == 200


def test_a_request_that_takes_too_long_is_told_so(start: Start, working: Path) -> None:
    with (
        start(working, HOMEPORT_DRAIN_SECONDS="1", **VARIABLES) as server,
        concurrent.futures.ThreadPoolExecutor() as senders,
    ):
        begun = time.monotonic()
        long = senders.submit(ask, server, "long", 2.5)
        time.sleep(0.3)
        waiting = ask(server, "waiting", 0)
        assert (waiting.status, waiting.body) == (
            503,
            {"error": "no turn within 1 seconds; accepted: the same request later"},
        )
        assert (long.result().status, long.result().body) == (
            504,
            {"error": "the answer takes longer than 1 seconds; accepted: less work in one request"},
        )
        assert time.monotonic() - begun < 2
        time.sleep(1.5)
        assert ask(server, "after", 0).status == 200
        assert calls(working) == ["long", "after"]


def test_health_is_answered_while_the_model_keeps_pythons_lock(start: Start, working: Path) -> None:
    with (
        start(working, HOMEPORT_DRAIN_SECONDS="120", **VARIABLES) as server,
        concurrent.futures.ThreadPoolExecutor() as senders,
    ):
        computing = senders.submit(ask, server, "lock", 0)
        time.sleep(0.3)
        for _ in range(5):
            begun = time.monotonic()
            assert server.get("/v2/health/live").status == 200
            assert server.get("/v2/health/ready").status == 200
            assert time.monotonic() - begun < 1
        assert not computing.done()
        assert computing.result().status == 200


def test_a_model_that_ends_its_process_ends_the_server(start: Start, working: Path) -> None:
    with start(working, **VARIABLES) as server:
        answer = ask(server, "end", 0)
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
        end = time.monotonic() + 5
        while Path(f"/proc/{child}").exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert not Path(f"/proc/{child}").exists()
