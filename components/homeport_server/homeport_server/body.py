"""Reads bodies of unknown length in pieces, with limits on size, on time and on all bytes that are held."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from homeport_server.held import Held
from homeport_server.refusal import RefusedError, shown
from homeport_server.settings import Bounds

_GZIP = 16 + zlib.MAX_WBITS


class Bodies:
    """Reads the bodies of requests."""

    def __init__(self, bounds: Bounds, held: Held) -> None:
        self._bounds = bounds
        self._held = held

    @asynccontextmanager
    async def reading(self, request: Request) -> AsyncIterator[bytearray]:
        """The decompressed body of the request, counted as held until the block ends."""
        body = bytearray()
        try:
            try:
                async with asyncio.timeout(self._bounds.transfer_seconds):
                    async for piece in self._pieces(request):
                        self._held.add(len(piece))
                        body += piece
            except TimeoutError:
                accepted = f"a body within {self._bounds.transfer_seconds:g} seconds"
                raise RefusedError("the body did not arrive in time", accepted, 408) from None
            yield body
        finally:
            self._held.remove(len(body))

    async def _pieces(self, request: Request) -> AsyncIterator[bytes]:
        limit = self._bounds.max_body_bytes
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            raise _too_large(f"the body has {int(announced)} bytes", limit)
        encodings = ", ".join(request.headers.getlist("content-encoding")).strip().lower()
        if encodings not in {"", "identity", "gzip"}:
            raise RefusedError(f"the body's Content-Encoding is {shown(encodings)}", "gzip, or none", 415)

        # A few kilobytes of gzip can expand to gigabytes, so the limit applies to the decompressed bytes.
        unfold = zlib.decompressobj(_GZIP) if encodings == "gzip" else None
        size = 0
        async for chunk in request.stream():
            piece = chunk
            if unfold:
                try:
                    piece = unfold.decompress(chunk, limit - size + 1)
                except zlib.error:
                    raise RefusedError(
                        "the body is not gzip, though its Content-Encoding says so", "a gzip body"
                    ) from None
                if unfold.unused_data:
                    raise RefusedError("the body goes on after its gzip data ends", "one gzip member")
            size += len(piece)
            if size > limit:
                raise _too_large(f"the body has more than {limit} bytes", limit)
            yield piece
        if unfold and size and not unfold.eof:
            raise RefusedError("the body's gzip data is cut short", "a complete gzip body")


def _too_large(found: str, limit: int) -> RefusedError:
    return RefusedError(found, f"at most {limit} bytes", 413)
