"""Limits the bytes that the server holds at once: waiting bodies and unsent answers count together.

The size of each body is limited, but not their number, and an answer may be ten times as long as its request. A burst of
large requests, or a few senders that read slowly, would exhaust the container's memory.
"""

import asyncio

from mlserver.rest.responses import Response
from starlette.types import Receive, Scope, Send

from homeport_server.refusal import RefusedError
from homeport_server.settings import Bounds

_PIECE = 64 * 1024


class Held:
    """The number of held bytes."""

    def __init__(self, bounds: Bounds) -> None:
        self._bound = bounds.max_held_bytes
        self._bytes = 0

    def add(self, size: int) -> None:
        """Count these bytes, or refuse them if the limit is exceeded."""
        if size > self._bound:
            raise RefusedError(
                f"the answer has {size} bytes", f"fewer rows, so that the answer has at most {self._bound} bytes", 413
            )
        if self._bytes + size > self._bound:
            raise RefusedError("the server has no memory for another request now", "the same request later", 503)
        self._bytes += size

    def remove(self, size: int) -> None:
        """Stop counting these bytes."""
        self._bytes -= size


class HeldResponse(Response):  # type: ignore[misc]  # MLServer carries no type information
    """An answer that is counted until it is sent. It is sent in pieces, because otherwise it would wait in the socket."""

    def __init__(self, content: object, held: Held, bounds: Bounds) -> None:
        super().__init__(content)
        self._held = held
        self._bounds = bounds
        held.add(len(self.body))

    async def __call__(self, _: Scope, __: Receive, send: Send) -> None:
        """Send the answer, and give up if the reader takes too long."""
        try:
            async with asyncio.timeout(self._bounds.transfer_seconds):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                for start in range(0, len(self.body), _PIECE):
                    piece = self.body[start : start + _PIECE]
                    more = start + _PIECE < len(self.body)
                    await send({"type": "http.response.body", "body": piece, "more_body": more})
        except TimeoutError:
            return
        finally:
            self._held.remove(len(self.body))
