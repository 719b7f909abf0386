"""Your own server, here with only Python's standard library: it answers POST /predict and reports its health.

It answers faulty input with 4xx and a reason. After SIGTERM, it finishes the requests that it has begun and exits.
"""

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MOST_BYTES = 1024 * 1024
LARGEST = 10**12


class FaultyInputError(Exception):
    """The request is faulty; the text tells its sender why."""


def predict(amount: float, items: int, country: str) -> float:
    """The risk of an order, from 0 to 1."""
    home = country.upper() == "NL"
    return min(1.0, amount / 1000 / max(items, 1)) * (0.5 if home else 1.0)


def checked(body: bytes) -> dict[str, Any]:
    """The inputs of `predict`."""
    try:
        inputs = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FaultyInputError(f"the body is not JSON: {error}") from None
    kinds = {"amount": (int, float), "items": (int,), "country": (str,)}
    if not isinstance(inputs, dict) or set(inputs) != set(kinds):
        raise FaultyInputError(f"accepted: an object with exactly {', '.join(kinds)}")
    for name, accepted in kinds.items():
        if type(inputs[name]) not in accepted:
            raise FaultyInputError(f"{name}: accepted: {' or '.join(kind.__name__ for kind in accepted)}")
        if str not in accepted and not abs(inputs[name]) <= LARGEST:  # nor is "not a number" below it
            raise FaultyInputError(f"{name}: accepted: -{LARGEST} to {LARGEST}")
    return inputs


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    timeout = 30

    def do_GET(self) -> None:
        """Health."""
        known = self.path in {"/health/live", "/health/ready"}
        self.answer(200 if known else 404, {} if known else {"error": "accepted: /health/live, /health/ready"})

    def do_POST(self) -> None:
        """A prediction."""
        length = self.headers.get("Content-Length", "")
        if self.path != "/predict":
            self.answer(404, {"error": "accepted: /predict"})
        elif not length.isdecimal() or len(length) > 9 or int(length) > MOST_BYTES:
            self.answer(413, {"error": f"accepted: a body of at most {MOST_BYTES} bytes, with its Content-Length"})
        else:
            try:
                self.answer(200, {"risk": predict(**checked(self.rfile.read(int(length))))})
            except FaultyInputError as error:
                self.answer(400, {"error": str(error)})

    def answer(self, status: int, content: dict[str, Any]) -> None:
        """Send JSON."""
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """One thread for each connection. The server waits for all of them before it exits."""

    daemon_threads = False


if __name__ == "__main__":
    server = Server((os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", "8080"))), Handler)  # noqa: S104
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    with server:
        server.serve_forever()
