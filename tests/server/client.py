"""What a test says to the server: over a plain connection, since a well-behaved client would not send faulty requests."""

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

LIBRARIES = Path(__file__).with_name("requirements.txt")
"""Of all that the tests serve: one environment for it."""


def infer_path(model: str) -> str:
    return f"/v2/models/{model}/infer"


INFER = infer_path("iris")


@contextmanager
def ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Afterwards the process is gone, whatever happened."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any


@dataclass(frozen=True)
class Client:
    port: int
    metrics_port: int

    def send(
        self,
        body: str | bytes | Iterable[bytes] | None,
        path: str = INFER,
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            # An iterable is sent in chunks, without Content-Length.
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            content = response.read()
            return Answer(response.status, json.loads(content) if content else None)
        finally:
            connection.close()

    def begin(self, body: str, path: str = INFER) -> socket.socket:
        """Send a request and await no answer."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sendall(request(body.encode(), path=path))
        return connection

    def has_read_all(self) -> None:
        """Wait until the server has read what was sent before: it takes connections, and what they bring, in their order."""
        for _ in range(3):
            assert self.get("/v2/health/live").status == http.client.OK

    def get(self, path: str) -> Answer:
        return self.send(None, path, method="GET")

    def infer(self, *tensors: Any, model: str = "iris", **fields: Any) -> Answer:
        return self.send(json.dumps({"inputs": tensors, **fields}), infer_path(model))

    def metrics(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def await_ready(self, process: "subprocess.Popen[bytes]", log: Path, seconds: float) -> None:
        """Fails with what the process said if it ends, or is not ready in so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if self.get("/v2/health/ready").status == http.client.OK:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        pytest.fail(f"the server did not become ready:\n{log.read_text()}")


def request(body: bytes, *headers: str, path: str = INFER) -> bytes:
    """A complete request, by default with its length."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", *(headers or (f"Content-Length: {len(body)}",)), "", ""]
    return "\r\n".join(lines).encode() + body


def answer(connection: socket.socket) -> Answer:
    """The answer to what ``Client.begin`` sent."""
    with http.client.HTTPResponse(connection) as response:
        response.begin()
        return Answer(response.status, json.loads(response.read()))


def tensor(**fields: Any) -> dict[str, Any]:
    """The input of a good request, with some fields as the test wants them; None leaves a field out."""
    good = {"name": "features", "datatype": "FP64", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}
    return {name: value for name, value in (good | fields).items() if value is not None}
