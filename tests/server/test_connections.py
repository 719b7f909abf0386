"""What one connection may cost: the bytes around a body, requests behind another, headers, and time."""

import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.server.attacks import ROWS, chunked
from tests.server.client import INFER, Answer, request, tensor
from tests.server.conftest import IRIS, Server, Start
from tests.support import until

GOOD = json.dumps({"inputs": [tensor()]}).encode()
HEALTH = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        yield connection


def all_of(connection: socket.socket) -> bytes:
    """What arrives until the server closes the connection."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def cut_off(connection: socket.socket, sent: bytes, seconds: float) -> bool:
    """Whether the server closes the connection while the same is sent again and again."""
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            connection.sendall(sent)
    except OSError:  # reset, or a broken pipe
        return True
    return False


def refused(server: Server, sent: bytes) -> Answer:
    """The one answer to these bytes, after which the server closes the connection."""
    with connected(server) as connection:
        connection.sendall(sent)
        head, _, body = all_of(connection).partition(b"\r\n\r\n")
        assert b"connection: close" in head.lower()
        return Answer(int(head.split()[1]), json.loads(body))


def one_byte_chunks(body: bytes) -> bytes:
    return b"".join(b"1\r\n%c\r\n" % each for each in body) + b"0\r\n\r\n"


BEGUN = chunked([])
FAULTY = {
    "two lengths": (
        request(GOOD, f"Content-Length: {len(GOOD)}", "Transfer-Encoding: chunked"),
        400,
        "the request has both Content-Length and Transfer-Encoding; accepted: one of them",
    ),
    "two lengths the other way round": (
        request(b"0\r\n\r\n", "Transfer-Encoding: chunked", "Content-Length: 5"),
        400,
        "the request has both Content-Length and Transfer-Encoding; accepted: one of them",
    ),
    "chunks in HTTP/1.0": (
        BEGUN.replace(b"HTTP/1.1", b"HTTP/1.0"),
        400,
        "a request of HTTP/1.0 has Transfer-Encoding; accepted: Content-Length, or HTTP/1.1",
    ),
    "different lengths": (
        request(b"", "Content-Length: 5", "Content-Length: 6"),
        400,
        "conflicting Content-Length headers",
    ),
    "another encoding": (
        request(b"", "Transfer-Encoding: gzip, chunked"),
        501,
        "Only Transfer-Encoding: chunked is supported",
    ),
    "many headers": (
        HEALTH[:-2] + b"a: b\r\n" * 100 + b"\r\n",
        431,
        "the request has 101 headers; accepted: at most 100",
    ),
    "large headers at once": (
        HEALTH[:-2] + b"a: %s\r\n\r\n" % (b"x" * 17_000),
        431,
        "request line and headers have more than 16384 bytes; accepted: 16384 bytes",
    ),
    "many trailers": (
        BEGUN + b"0\r\n" + b"a: b\r\n" * 101 + b"\r\n",
        431,
        "the request has 101 headers; accepted: at most 100",
    ),
    "one-byte chunks": (
        BEGUN + one_byte_chunks(b" " * 1000),
        400,
        "the body has 4148 bytes around its content; accepted: chunks of 100 bytes or more",
    ),
    "chunk extensions": (
        BEGUN + (b"1;" + b"x" * 2000 + b"\r\n \r\n") * 3,
        400,
        "the body has 6016 bytes around its content; accepted: chunks of 100 bytes or more",
    ),
}


@pytest.mark.parametrize(("sent", "status", "reason"), FAULTY.values(), ids=FAULTY.keys())
def test_faulty_framing_is_refused_and_the_connection_closed(
    server: Server, sent: bytes, status: int, reason: str
) -> None:
    assert refused(server, sent) == Answer(status, {"error": reason})


def test_a_body_in_pieces_of_any_size_is_read(server: Server) -> None:
    large = json.dumps({"inputs": [tensor(shape=[9000, 4], data=[5.1] * 36_000)]}).encode()
    rows = [large[start : start + 100] for start in range(0, len(large), 100)]
    assert server.send(iter(rows)).status == 200
    with connected(server) as connection:
        connection.sendall(BEGUN + one_byte_chunks(GOOD))
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_who_pipelines_more_than_64_kib_is_cut_off(server: Server) -> None:
    before = server.memory("VmHWM")
    with connected(server) as connection:
        assert cut_off(connection, request(GOOD) * 500, 30)
    assert server.memory("VmHWM") - before < 20 * 2**20
    with connected(server) as connection:
        connection.sendall(HEALTH * 100)
        received = b""
        while received.count(b'{"live":true}') < 100:
            received += connection.recv(65536)


def test_a_refused_body_is_not_read_for_ever(start: Start) -> None:
    with start(IRIS, HOMEPORT_STALL_SECONDS="1.5") as server, connected(server) as connection:
        connection.sendall(request(b"", f"Content-Length: {10**12}"))
        assert cut_off(connection, b" " * 65536, 60)


@pytest.fixture(scope="module")
def hasty(start: Start) -> Iterator[Server]:
    """A server with short times, so that the tests need not wait for long."""
    with start(IRIS, HOMEPORT_TRANSFER_SECONDS="4", HOMEPORT_STALL_SECONDS="1.5") as server:
        yield server


LATE = {
    "in the headers": HEALTH[:20],
    "in the body": request(b" ", "Content-Length: 10"),
    "in a chunk": BEGUN + b"5\r\nab",
    "behind another request": HEALTH + HEALTH[:20],
}


@pytest.mark.parametrize("sent", LATE.values(), ids=LATE.keys())
def test_a_request_that_stops_is_ended_soon(hasty: Server, sent: bytes) -> None:
    with connected(hasty) as connection:
        connection.sendall(sent)
        begun = time.monotonic()
        received = all_of(connection)
        assert time.monotonic() - begun > 1
        assert b"HTTP/1.1 408 " in received
        assert received.endswith(
            b'{"error":"nothing of the request arrived for 1.5 seconds; accepted: a request that arrives without such a pause"}'
        )


@pytest.mark.parametrize("sent", LATE.values(), ids=LATE.keys())
def test_a_request_that_never_ends_is_ended(hasty: Server, sent: bytes) -> None:
    with connected(hasty) as connection:
        connection.sendall(sent)
        connection.settimeout(0.5)
        begun, received = time.monotonic(), b""
        while time.monotonic() - begun < 60:
            try:
                connection.sendall(b"1")  # part of a header's name, of a body or of a chunk
                received += (piece := connection.recv(65536))
                if not piece:
                    break
            except TimeoutError:
                pass
            except OSError:
                break
        assert 3 < time.monotonic() - begun < 60
        if b"chunk" not in sent:
            assert b"HTTP/1.1 408 " in received or b"HTTP/1.1 400 " in received


def test_a_slow_upload_is_answered(hasty: Server) -> None:
    with connected(hasty) as connection:
        sent = request(GOOD)
        for start in range(0, len(sent), len(sent) // 8 + 1):
            connection.sendall(sent[start : start + len(sent) // 8 + 1])
            time.sleep(0.25)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_who_takes_no_answer_is_cut_off(hasty: Server) -> None:
    def open_files() -> int:
        return len(list(Path(f"/proc/{hasty.process.pid}/fd").iterdir()))

    before, files = hasty.memory("VmRSS"), open_files()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(("127.0.0.1", hasty.port))
        connection.sendall(request(ROWS))
        hasty.has_read_all()
        assert open_files() > files
        until(lambda: open_files() <= files, 60)
        assert len(all_of(connection)) < 400_000
    assert hasty.memory("VmRSS") - before < 30 * 2**20


def test_the_idlest_of_too_many_connections_are_closed(start: Start) -> None:
    with start(IRIS) as server, ExitStack() as stack:
        opened = [stack.enter_context(connected(server)) for _ in range(600)]
        server.has_read_all()
        closed = select.select(opened, [], [], 0)[0]
        assert 600 - 512 <= len(closed) < 600 - 512 + 40
        assert not set(closed) & set(opened[-200:])


def test_half_open_connections_are_closed_and_keep_nobody_out(start: Start) -> None:
    with start(IRIS, HOMEPORT_STALL_SECONDS="3") as server:
        begun = [socket.create_connection(("127.0.0.1", server.port), timeout=15) for _ in range(600)]
        for connection in begun:
            with suppress(OSError):  # of more than 512, the oldest are closed
                connection.sendall(BEGUN[:-10])
        assert server.infer(tensor()).status == 200
        for connection in begun:
            all_of(connection)
            connection.close()


def test_an_idle_connection_is_kept(server: Server) -> None:
    with connected(server) as connection:
        for idle in (0, 6):  # uvicorn's own limit is 5
            time.sleep(idle)
            connection.sendall(HEALTH)
            received = b""
            while not received.endswith(b'{"live":true}'):
                received += (piece := connection.recv(65536))
                assert piece


@pytest.mark.parametrize(
    "host", ["a b", "[::::]", "[zz]", "x]", "a/b", "a?b", "a@b", "\x1b[2K", "a:b", "\xff", "1[::1]"]
)
def test_a_host_that_is_none_is_refused(server: Server, host: str) -> None:
    answer = refused(server, f"GET /v2 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
    assert (answer.status, answer.body) == (
        400,
        {"error": "the Host header is no host; accepted: a name or an address, with or without a port"},
    )


@pytest.mark.parametrize("begin", ["HEAD /v2 HTTP/1.1\r\nHost: x\r\n", "HEAD /v2 HTTP/1.1\r\nHost: x y\r\n"])
def test_a_refused_head_has_an_answer_without_a_body(server: Server, begin: str) -> None:
    with connected(server) as connection:
        connection.sendall(f"{begin}Transfer-Encoding: chunked\r\n\r\nno chunk\r\n".encode())
        assert all_of(connection).startswith(b"HTTP/1.1 400 ")
    with connected(server) as connection:
        connection.sendall(b"HEAD /v2 HTTP/1.1\r\nHost: x\r\n\r\nno request\r\n\r\n")
        head, _, refusal = all_of(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert refusal.startswith(b"HTTP/1.1 400 ")
        assert refusal.endswith(b'"}')
    assert "LocalProtocolError" not in server.log.read_text()


@pytest.mark.parametrize("path", ["[http://x/v2", "http://x/v2", "*", "v2", "@a/v2", ":80/v2"])
def test_a_path_begins_with_a_slash(server: Server, path: str) -> None:
    answer = server.send(None, path, method="GET")
    assert (answer.status, answer.body) == (
        400,
        {"error": f"path '{path}' begins without a slash; accepted: such as /v2/health/live"},
    )


@pytest.mark.parametrize("host", ["", "localhost", "iris.models.svc:8080", "127.0.0.1:80", "[::1]:8080", "a_b", "a:"])
def test_a_host_is_accepted(server: Server, host: str) -> None:
    with connected(server) as connection:
        connection.sendall(f"GET /v2/health/live HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_slash_at_the_end_leads_nowhere(server: Server) -> None:
    assert server.send(GOOD, f"{INFER}/").status == 404
