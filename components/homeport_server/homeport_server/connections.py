"""What one connection may cost: bytes beside the body, headers, requests that wait behind another, and time.

uvicorn and h11 bound none of these for a whole request. Everything here is cheap, because it runs in the event loop for
each piece that arrives, and everything ends with the connection, so nothing that a sender did remains.
"""

import ipaddress
import re
from collections import Counter
from heapq import nsmallest
from http import HTTPStatus
from typing import Any, cast

import h11
import orjson
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from homeport_server.settings import Bounds

MOST_CONNECTIONS = 512
"""Beyond it, connections that have been idle for the longest time are closed, of the peer that has the most."""

_CLOSED_AT_ONCE = 32
"""To find the idlest takes milliseconds, so that a flood of connections would be only that, if it were done for each."""

SOCKET_BYTES = 128 * 1024
"""Size of the kernel's buffers for one connection. It bounds what one turn of the event loop has to read, too."""

KEEP_ALIVE_SECONDS = 620
"""More than Google's load balancer keeps an idle connection (https://docs.cloud.google.com/load-balancing/docs/https,
"Timeouts and retries"), which is the longest of all. A gateway whose connection ends first meets an error."""

_HEAD_BYTES = 16 * 1024
_HEADERS = 100
_PIPELINED_BYTES = 64 * 1024
_LINGER_SECONDS = 1

# Chunk sizes, extensions, line ends and trailers are work without content: one-byte chunks have five bytes of framing for
# each byte of the body, and take a thousand times as long as one chunk. Chunks of 100 bytes are within the limit.
_FRAMING_BYTES = 4 * 1024
_FRAMING_SHARE = 16

# https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2
_HOST = re.compile(rb"(\[(?P<address>[0-9A-Fa-f:.]+)\]|[\w.~%!$&'()*+,;=-]*)(:[0-9]*)?")

_BLANK_LINE = re.compile(rb"\n\r?\n")


class Config(uvicorn.Config):
    """uvicorn's settings, and the limits of homeport."""

    def __init__(self, app: Any, bounds: Bounds, **settings: Any) -> None:
        super().__init__(
            app,
            http=Connection,
            ws="none",
            h11_max_incomplete_event_size=_HEAD_BYTES,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            **settings,
        )
        self.bounds = bounds


class Framing(h11.Connection):
    """The requests in the bytes of a connection. What h11 lets through at any cost is an error here."""

    fault: h11.RemoteProtocolError | None = None
    """The error that ended the connection."""
    head_only = False
    """Whether the answer must not have a body, because its request is HEAD."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, _HEAD_BYTES)
        self._received = 0
        self._head_end = 0
        self._payload = 0

    @property
    def unread(self) -> int:
        """Bytes that have arrived and are not part of an event yet."""
        return len(self._receive_buffer)

    @property
    def arriving(self) -> bool:
        """Whether a request has begun and not ended."""
        return self.their_state is h11.SEND_BODY or (self.their_state is h11.IDLE and self.unread > 0)

    @property
    def unanswered(self) -> bool:
        """Whether an answer may still be sent to what has arrived."""
        return self.our_state in {h11.IDLE, h11.SEND_RESPONSE}

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the connection."""
        self._received += len(data)
        super().receive_data(data)

    def start_next_cycle(self) -> None:
        """Begin with the next request."""
        super().start_next_cycle()
        self.head_only = False

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next part of a request.

        Raises:
            h11.RemoteProtocolError: The sender breaks the protocol or a limit.
        """
        try:
            if self.their_state is h11.IDLE and self.unread > _HEAD_BYTES:
                self._check_head()
            event = super().next_event()
            self.head_only = self.head_only or (isinstance(event, h11.Request) and event.method == b"HEAD")
            self._check(event)
        except h11.RemoteProtocolError as error:
            self.fault = error
            raise
        return event

    def _check_head(self) -> None:
        """h11 limits only heads that have not arrived completely."""
        if not _BLANK_LINE.search(bytes(self._receive_buffer)[:_HEAD_BYTES]):
            raise _refused(431, f"request line and headers have more than {_HEAD_BYTES} bytes", f"{_HEAD_BYTES} bytes")

    def _check(self, event: object) -> None:
        if isinstance(event, h11.Request | h11.EndOfMessage) and len(event.headers) > _HEADERS:
            raise _refused(431, f"the request has {len(event.headers)} headers", f"at most {_HEADERS}")
        used = self._received - self.unread
        if isinstance(event, h11.Request):
            self._head_end, self._payload = used, 0
            _check_length(event)
            _check_host(event)
        elif isinstance(event, h11.Data):
            self._payload += len(event.data)
        if self.their_state is h11.SEND_BODY:
            framing, most = used - self._head_end - self._payload, _FRAMING_BYTES + self._payload // _FRAMING_SHARE
            if framing > most:
                raise _refused(400, f"the body has {framing} bytes around its content", "chunks of 100 bytes or more")


class Connection(H11Protocol):
    """One connection, from which requests are read one after another."""

    conn: Framing
    config: Config

    def __init__(self, config: Config, **settings: Any) -> None:
        super().__init__(config, **settings)
        self.conn = Framing()
        self._bounds = config.bounds
        self._moved = self._begun = self.loop.time()
        self._unsent_since: float | None = None
        self._refused = False

    def connection_made(self, transport: Any) -> None:
        """Make room for the new connection."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        if self._refused:
            return
        now = self.loop.time()
        if not self.conn.arriving:
            self._begun = now
        self._moved = now
        super().data_received(data)
        if self.conn.their_state is h11.DONE and self.conn.unread > _PIPELINED_BYTES:
            self.transport.abort()

    def on_response_complete(self) -> None:
        """Go on with the next request, whose time begins now if it has arrived meanwhile."""
        self._moved = self._begun = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or exceeds a limit."""
        fault = self.conn.fault
        self.refuse(fault.error_status_hint if fault else 400, str(fault or msg))

    def refuse(self, status: int, reason: str) -> None:
        """Answer with an error, if that is still possible, and close the connection.

        It is closed a little later, because the kernel drops an answer that was not yet read if requests are unread.
        """
        if self.cycle and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not self.conn.unanswered:
            self.transport.abort()
            return
        body = orjson.dumps({"error": reason})
        head = h11.Response(
            status_code=status,
            headers=[("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")],
            reason=HTTPStatus(status).phrase.encode(),
        )
        for event in (head, h11.Data(data=b"" if self.conn.head_only else body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        self._refused = True
        self._moved = self.loop.time()
        self.flow.pause_reading()

    def check_time(self, now: float) -> None:
        """Close the connection if its sender or reader takes too long. Called about every second."""
        seconds = self._bounds.transfer_seconds
        if self.transport.is_closing():
            return
        if not self.transport.get_write_buffer_size():
            self._unsent_since = None
        elif self._unsent_since is None:
            self._unsent_since = now
        elif now - self._unsent_since > seconds:
            self.transport.abort()
        if self._refused:
            if now - self._moved > _LINGER_SECONDS:
                self.transport.abort()
        elif self.conn.arriving and not self.conn.unanswered:  # it is refused, and its sender goes on
            if now - self._begun > self._bounds.stall_seconds:
                self.transport.abort()
        elif self.conn.arriving:
            if now - self._begun > seconds:
                self.refuse(408, f"the request did not arrive in time; accepted: all of it within {seconds:g} seconds")
            elif now - self._moved > self._bounds.stall_seconds:
                self.refuse(
                    408,
                    f"nothing of the request arrived for {self._bounds.stall_seconds:g} seconds; "
                    "accepted: a request that arrives without such a pause",
                )
        elif self._idle and now - self._moved > KEEP_ALIVE_SECONDS:
            self.transport.close()

    @property
    def _idle(self) -> bool:
        """Whether no request is waiting for its answer."""
        return self.cycle is None or self.cycle.response_complete

    def _make_room(self) -> None:
        """Close the idlest connections. Those whose requests are being computed are kept."""
        others = [each for each in cast("set[Connection]", self.connections) if each is not self]
        waiting = [each for each in others if each.conn.arriving or each._idle]
        if not waiting:
            self.transport.abort()
            return
        of_peer = Counter(_peer(each) for each in others)
        for idlest in nsmallest(_CLOSED_AT_ONCE, waiting, key=lambda each: (-of_peer[_peer(each)], each._moved)):
            self.connections.discard(idlest)
            idlest.transport.abort()


def _peer(connection: Connection) -> str:
    return connection.client[0] if connection.client else ""


def _check_length(request: h11.Request) -> None:
    """A body whose length is told twice may be cut differently by each server on its way, and that is an attack."""
    names = {name for name, _ in request.headers}
    if b"transfer-encoding" not in names:
        return
    if b"content-length" in names:
        raise _refused(400, "the request has both Content-Length and Transfer-Encoding", "one of them")
    if request.http_version < b"1.1":
        raise _refused(400, "a request of HTTP/1.0 has Transfer-Encoding", "Content-Length, or HTTP/1.1")


def _check_host(request: h11.Request) -> None:
    """A host becomes part of the URL that Starlette reads the path from. What is none must be refused: RFC 9112, 3.2."""
    named = _HOST.fullmatch(dict(request.headers).get(b"host", b""))
    try:
        if not named:
            raise ValueError
        if named["address"]:
            ipaddress.IPv6Address(named["address"].decode())
    except ValueError:
        raise _refused(400, "the Host header is no host", "a name or an address, with or without a port") from None


def _refused(status: int, found: str, accepted: str) -> h11.RemoteProtocolError:
    return h11.RemoteProtocolError(f"{found}; accepted: {accepted}", error_status_hint=status)
