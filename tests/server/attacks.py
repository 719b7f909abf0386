"""What hostile senders do, each for as long as it is let: `python -m tests.server.attacks PORT [NAME...]`.

They run in a process of their own, so that what the test measures does not wait for them.
"""

import gzip
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from tests.server.client import request, tensor

_GOOD = json.dumps({"inputs": [tensor()]}).encode()
_FIVE_MIB = 5 * 1024 * 1024 - 1000
_PAUSE = 0.05

Send = Callable[[bytes], None]


def chunked(chunks: Iterable[bytes]) -> bytes:
    return request(b"".join(chunks), "Transfer-Encoding: chunked")


def filled(start: str, item: str, end: str) -> bytes:
    """A body of almost 5 MiB that repeats an item."""
    return (start + item * ((_FIVE_MIB - len(start) - len(end)) // len(item)) + end).encode()


LISTS = filled('{"inputs":[{"name":"features","datatype":"FP64","shape":[1,4],"data":[', "[],", "[]]}]}")
OBJECTS = filled('{"inputs":[],"x":[', '{"":0},', "0]}")
DEEP = filled("", "[", "")
NUMBERS = filled('{"inputs":[{"name":"features","datatype":"FP64","shape":[1,4],"data":[', "1,", "1]}]}")
ROWS = json.dumps(
    {
        "inputs": [tensor(shape=[9999, 4], data=[1] * 4 * 9999)],
        "outputs": [{"name": "predict"}, {"name": "predict_proba"}],
    },
    separators=(",", ":"),
).encode()
"""The most rows, and an answer of more than half a megabyte."""
BOMB = gzip.compress(b" " * 2**28)

ENDLESS: dict[str, bytes] = {
    "pipelined requests": request(_GOOD) * 100,
    "pipelined health": b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n" * 1000,
    "one-byte chunks": b"1\r\n \r\n" * 10_000,
    "chunk extensions": b"1;" + b"x" * 10_000 + b"\r\n \r\n",
    "headers": b"a:\r\n" * 10_000,
    "body": b" " * 65536,
    "not HTTP": b"\x16\x03\x01" * 10_000,
}
"""What is sent again and again on one connection until it is closed, and then on the next one."""
_BEGIN = {
    "one-byte chunks": chunked([]),
    "chunk extensions": chunked([]),
    "body": request(b"", "Content-Length: 5000000"),
    "headers": b"GET /v2 HTTP/1.1\r\n",
}

COMPLETE: dict[str, bytes] = {
    "empty lists": request(LISTS),
    "objects": request(OBJECTS),
    "deep nesting": request(DEEP),
    "numbers": request(NUMBERS),
    "most rows": request(ROWS),
    "gzip bomb": request(BOMB, "Content-Encoding: gzip", f"Content-Length: {len(BOMB)}"),
    "two lengths": request(_GOOD, "Transfer-Encoding: chunked", f"Content-Length: {len(_GOOD)}"),
}
"""What is sent as a whole, and its answer awaited."""


def _endless(port: int, name: str) -> None:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(_BEGIN.get(name, b""))
        while True:
            connection.sendall(ENDLESS[name])


def _complete(port: int, name: str) -> None:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(COMPLETE[name])
        connection.recv(65536)


def _hung_up(port: int) -> None:
    """Eighty callers ask for much work and wait for nothing."""
    with suppress(OSError):
        callers = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(80)]
        for caller in callers:
            caller.sendall(COMPLETE["most rows"])
            caller.close()
        time.sleep(1)


def _stalled(port: int, number: int, sent: int, announced: int) -> None:
    """Connections with a request that has begun, and then nothing."""
    begun = []
    for _ in range(number):
        with suppress(OSError):
            connection = socket.create_connection(("127.0.0.1", port), timeout=5)
            connection.sendall(request(b" " * sent, f"Content-Length: {announced}"))
            begun.append(connection)
    time.sleep(8)
    for connection in begun:
        connection.close()


def _silent_readers(port: int) -> None:
    """Callers who take no answer."""
    with suppress(OSError):
        callers = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(8)]
        for caller in callers:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            caller.sendall(COMPLETE["most rows"])
        time.sleep(8)
        for caller in callers:
            caller.close()


ATTACKS: dict[str, Callable[[int], None]] = {
    **{name: lambda port, name=name: _endless(port, name) for name in ENDLESS},  # type: ignore[misc]
    **{name: lambda port, name=name: _complete(port, name) for name in COMPLETE},  # type: ignore[misc]
    "hung up": _hung_up,
    "8 stalled": lambda port: _stalled(port, 8, 4_900_000, 5_000_000),
    "300 half-open": lambda port: _stalled(port, 300, 10, 5_000_000),
    "300 small": lambda port: _stalled(port, 300, 30_000, 40_000),
    "silent readers": _silent_readers,
}


def _again(attack: Callable[[int], None], port: int) -> None:
    while True:
        attack(port)
        time.sleep(_PAUSE)


def main(port: str, *names: str) -> None:
    """All attacks at once, or some, until the process is killed."""
    for name in names or ATTACKS:
        threading.Thread(target=_again, args=(ATTACKS[name], int(port)), daemon=True).start()
    sys.stdout.write("attacking\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
