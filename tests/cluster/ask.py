"""Sends one HTTP request, with its body from standard input, and prints the answer as JSON."""

import contextlib
import http.client
import json
import sys
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Answer:
    status: int
    body: str


def main() -> None:
    address, method, path = sys.argv[1:]
    connection = http.client.HTTPConnection(address, timeout=300)
    # The server may answer before it has read everything.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request(method, path, sys.stdin.buffer.read(), {"Content-Type": "application/json"})
    response = connection.getresponse()
    print(json.dumps(asdict(Answer(response.status, response.read().decode()))))  # noqa: T201


if __name__ == "__main__":
    main()
