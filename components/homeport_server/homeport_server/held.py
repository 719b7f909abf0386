"""Limits the bytes that the server holds at once: bodies and unsent answers count together.

The size of each body is limited, but not their number, and an answer may be ten times as long as its request. A burst of
large requests, or a few senders that send or read slowly, would exhaust the container's memory.

Only what is larger than ``SMALL_BYTES`` counts. So those who hold everything that there is cannot keep small requests
out, and memory is limited nevertheless, because the number of connections is.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from homeport_server.answer import Answer
from homeport_server.refusal import RefusedError, busy
from homeport_server.settings import SMALL_BYTES, Bounds

_PIECE = 64 * 1024


class Held:
    """The bytes that are held, by peer: the address at the other end of the connection, which may be a gateway."""

    def __init__(self, bounds: Bounds) -> None:
        self._most = bounds.max_held_bytes
        self._most_of_one = bounds.max_held_by_one
        self._bytes: Counter[str] = Counter()

    @contextmanager
    def share(self, request: Request) -> Iterator["Share"]:
        """What this request's sender holds for one body or one answer, until the block ends."""
        share = Share(self, request.client.host if request.client else "")
        try:
            yield share
        finally:
            share.resize(0)

    def count(self, peer: str, change: int) -> None:
        """Count so many bytes more or fewer, or refuse them.

        Raises:
            RefusedError: The peer, or all together, would hold more than the limit; nothing was counted.
        """
        if change > 0 and self._bytes[peer] + change > self._most_of_one:
            raise busy(f"the sender's large requests and answers have more than {self._most_of_one} bytes at once")
        if change > 0 and self._bytes.total() + change > self._most:
            raise busy("the server has no memory for another large request now")
        self._bytes[peer] += change
        if not self._bytes[peer]:
            del self._bytes[peer]


class Share:
    """The size of one body or one answer, as far as it counts."""

    def __init__(self, held: Held, peer: str) -> None:
        self._held = held
        self._peer = peer
        self._counted = 0

    def resize(self, size: int) -> None:
        """The body or answer has so many bytes now.

        Raises:
            RefusedError: That is too much at the moment.
        """
        counted = size if size > SMALL_BYTES else 0
        self._held.count(self._peer, counted - self._counted)
        self._counted = counted


class HeldAnswer(Answer):
    """An answer that is counted until it is sent. It is sent in pieces, because otherwise it would wait in the socket."""

    def __init__(self, content: bytes, status_code: int, held: Held, request: Request) -> None:
        super().__init__(content, status_code)
        self._held = held
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer. The connection ends if the reader takes too long; then this ends, too."""
        with self._held.share(self._request) as share:
            try:
                share.resize(len(self.body))
            except RefusedError as error:
                await Answer.of(error)(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, len(self.body), _PIECE):
                more = start + _PIECE < len(self.body)
                piece = self.body[start : start + _PIECE]
                await send({"type": "http.response.body", "body": piece, "more_body": more})
