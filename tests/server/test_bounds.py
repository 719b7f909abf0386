"""What one sender may cost: the size of a body, its time, and all bodies together."""

import concurrent.futures
import contextlib
import gzip
import http.client
import json
import socket
from pathlib import Path

import pytest

from tests.server import attacks
from tests.server.client import INFER, answer, request, tensor
from tests.server.conftest import IRIS, Server, Start
from tests.support import until

LIMIT = 5 * 1024 * 1024


def test_a_body_announced_too_large_is_refused_before_it_is_sent(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest("POST", INFER)
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert json.loads(response.read()) == {
        "error": f"the body has 1000000000000 bytes; accepted: at most {LIMIT} bytes"
    }
    connection.close()


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}], ids=["chunked", "gzip that unfolds"])
def test_a_body_that_grows_too_large_is_refused(server: Server, headers: dict[str, str]) -> None:
    before = server.memory("VmHWM")
    chunk = b" " * 65536
    body = [gzip.compress(b" " * 2**29)] if headers else [chunk] * 3200  # half a gigabyte; 200 megabytes
    answer = server.send(iter(body), headers=headers)
    assert (answer.status, answer.body) == (
        413,
        {"error": f"the body has more than {LIMIT} bytes; accepted: at most {LIMIT} bytes"},
    )
    assert server.memory("VmHWM") - before < 50 * 1024 * 1024
    assert server.infer(tensor()).status == 200


@pytest.mark.parametrize(
    ("body", "encoding", "status", "reason"),
    [
        (b"abc", "br", 415, "the body's Content-Encoding is 'br'; accepted: gzip, or none"),
        (b"abc", "gzip", 400, "the body is not gzip, though its Content-Encoding says so; accepted: a gzip body"),
        (
            gzip.compress(b"{}", mtime=0)[:-4],
            "gzip",
            400,
            "the body's gzip data is cut short; accepted: a complete gzip body",
        ),
        (
            gzip.compress(b"{}", mtime=0) * 2,
            "gzip",
            400,
            "the body goes on after its gzip data ends; accepted: one gzip member",
        ),
    ],
)
def test_a_faulty_encoding_is_refused(server: Server, body: bytes, encoding: str, status: int, reason: str) -> None:
    answer = server.send(body, headers={"Content-Encoding": encoding})
    assert (answer.status, answer.body) == (status, {"error": reason})


def test_bounds_are_set_by_variables(start: Start, iris: Path) -> None:
    with start(iris, HOMEPORT_MAX_BODY_BYTES="1000", HOMEPORT_MAX_ROWS="2") as server:
        answer = server.send(b"x" * 1001)
        assert (answer.status, answer.body) == (413, {"error": "the body has 1001 bytes; accepted: at most 1000 bytes"})
        answer = server.infer(tensor(shape=[3, 4], data=[1] * 12))
        assert (answer.status, answer.body) == (
            413,
            {"error": "input 'features' has 3 rows; accepted: at most 2 in one request"},
        )
        assert server.infer(tensor(shape=[2, 4], data=[1] * 8)).status == 200


@pytest.mark.parametrize("body", [attacks.LISTS, attacks.DEEP], ids=["lists", "deep"])
def test_millions_of_parts_are_counted_and_not_made(server: Server, body: bytes) -> None:
    before = server.memory("VmHWM")
    answer = server.send(body)
    parts = body.count(b"[") + body.count(b"{")
    assert (answer.status, answer.body) == (
        413,
        {"error": f"the body has {parts} lists and objects; accepted: at most 1048576, such as flat data"},
    )
    assert server.memory("VmHWM") - before < 50 * 2**20


def test_stalled_bodies_keep_no_small_request_out(start: Start, iris: Path) -> None:
    large = json.dumps({"inputs": [tensor(shape=[9999, 4], data=[1.25] * 4 * 9999)]}).encode()
    stalled = request(b" " * 4_900_000, "Content-Length: 5000000")
    with start(iris, HOMEPORT_STALL_SECONDS="4") as server:
        begun = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(8)]
        for connection in begun:
            with contextlib.suppress(OSError):  # the first four fill the sender's half of the memory
                connection.sendall(stalled)
        assert server.infer(tensor()).status == 200

        caller = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        caller.request("POST", INFER, b" " * 4_900_000)
        response = caller.getresponse()
        told = json.loads(response.read())
        caller.close()
        assert (response.status, response.getheader("Retry-After")) == (503, "1")
        assert told == {
            "error": "the sender's large requests and answers have more than 20971520 bytes at once; "
            "accepted: the same request later"
        }
        until(lambda: server.send(large).status == 200, 60)
        for each in begun:
            each.close()


def test_stalled_bodies_of_several_senders_keep_no_small_request_out(start: Start, iris: Path) -> None:
    stalled = request(b" " * 4_900_000, "Content-Length: 5000000")
    with start(iris) as server, contextlib.ExitStack() as stack:

        def sender(host: str) -> socket.socket:
            address = ("127.0.0.1", server.port)
            connection = socket.create_connection(address, timeout=60, source_address=(host, 0))
            return stack.enter_context(connection)

        for host in ["127.0.0.2"] * 4 + ["127.0.0.3"] * 4:  # half of the memory each
            sender(host).sendall(stalled)
        server.has_read_all()
        third = sender("127.0.0.4")
        with contextlib.suppress(OSError):  # it is refused before all of it is sent
            third.sendall(stalled)
        told = answer(third)
        assert told.status == 503
        assert "the server has no memory for another large request now" in told.body["error"]
        for host in ("127.0.0.2", "127.0.0.3"):  # all but 20 bytes of its half: a small request has more
            sender(host).sendall(request(b" " * (20 * 2**20 - 4 * 4_900_000 - 20), "Content-Length: 5000000"))
        server.has_read_all()
        assert server.infer(tensor()).status == 200


def test_a_burst_of_the_largest_requests_fits_the_memory_of_the_model(start: Start, iris: Path) -> None:
    rows = LIMIT // 8 - 100
    largest = json.dumps(
        {
            "inputs": [tensor(shape=[rows, 4], data=[1] * 4 * rows)],
            "outputs": [{"name": "predict"}, {"name": "predict_proba"}],
        },
        separators=(",", ":"),
    )
    objects = '{"inputs":[],"x":[' + ",".join(['{"":0}'] * (LIMIT // 7 - 100)) + "]}"
    assert LIMIT * 0.99 < len(largest) <= LIMIT
    with start(iris) as server, concurrent.futures.ThreadPoolExecutor(20) as senders:
        answers = list(senders.map(server.send, [largest, objects] * 10))
        assert {answer.status for answer in answers} <= {200, 400, 413, 503}
        assert server.infer(tensor()).status == 200
        assert server.memory("VmHWM") < _memory_of_the_model()


def _memory_of_the_model() -> int:
    text = (IRIS / "model.yaml").read_text()
    amount = text.partition("memory: ")[2].partition("}")[0].strip()
    return int(amount.removesuffix("Mi")) * 1024 * 1024
