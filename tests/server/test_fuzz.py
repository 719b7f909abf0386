"""Whatever bytes arrive: the answers are HTTP, none says that the server failed, and the next request is answered."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.fuzz.fuzzing import fuzzed
from tests.server.client import tensor
from tests.server.conftest import IRIS, Server, Start

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_FRAMING = [
    b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"HTTP/1.0",
    b"HEAD ",
    b"/v2/health/ready",
    b"%00",
    b"%2e%2e/",
]
_JSON = [
    b"[]",
    b"{}",
    b"null",
    b"true",
    b'""',
    b"[[",
    b'"data":',
    b'"shape":',
    b'"BYTES"',
    b'"INT64"',
    b"-1",
    b"1e400",
    b"\\ud800",
]


@pytest.fixture(scope="module")
def fuzzed_server(start: Start) -> Iterator[Server]:
    with start(IRIS) as server:
        yield server
        lines = [json.loads(line) for line in server.log.read_text().splitlines()]
        failures = [line.get("traceback", line) for line in lines if line["level"] == "error"]
        assert not failures, failures[0]


@fuzzed("requests", _FRAMING)
def test_any_bytes(data: bytes, fuzzed_server: Server) -> None:
    with socket.create_connection(("127.0.0.1", fuzzed_server.port), timeout=10) as connection:
        with suppress(OSError):  # closed while it is sent
            connection.sendall(data)
        received = b""
        connection.settimeout(0.02)  # what has not ended gets no answer
        with suppress(OSError):
            while piece := connection.recv(65536):
                received += piece
    assert not received or received.startswith(b"HTTP/1.1 ")
    assert not {status for status in _STATUS.findall(received) if status >= b"500"} - {b"501"}
    assert fuzzed_server.get("/v2/health/live").status == 200


@fuzzed("bodies", _JSON)
def test_any_body(data: bytes, fuzzed_server: Server) -> None:
    answer = fuzzed_server.send(data)
    assert answer.status in {200, 400, 413}
    assert answer.status == 200 or "error" in answer.body
    assert fuzzed_server.infer(tensor()).status == 200
