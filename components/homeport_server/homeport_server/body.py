"""Reads bodies of unknown length in pieces, with limits on the size of each and on all bytes that are held."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from homeport_server.held import Held
from homeport_server.refusal import RefusedError
from homeport_server.settings import Bounds


@asynccontextmanager
async def reading(request: Request, held: Held, bounds: Bounds) -> AsyncIterator[bytearray]:
    """The body of the request as it was sent, counted as held until the block ends.

    Raises:
        RefusedError: It is too large, or there is no memory for it now.
        ClientDisconnect: The sender has hung up.
    """
    limit = bounds.max_body_bytes
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large(f"the body has {int(announced)} bytes", limit)
    with held.share(request) as share:
        body = bytearray()
        async for piece in request.stream():
            if len(body) + len(piece) > limit:
                raise too_large(f"the body has more than {limit} bytes", limit)
            share.resize(len(body) + len(piece))
            body += piece
        yield body


def too_large(found: str, limit: int) -> RefusedError:
    """The refusal of a body that exceeds the limit."""
    return RefusedError(found, f"at most {limit} bytes", 413)
