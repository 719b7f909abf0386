"""Messages between the two processes of the server, over one socket: a header in JSON, and bytes as they are."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import orjson

_SIZES = struct.Struct("!IQ")


class Message(NamedTuple):
    """One message. ``number`` in the header tells which question it asks or answers."""

    header: dict[str, Any]
    content: bytes


class Channel(asyncio.Protocol):
    """This process's end of the socket. A protocol and not streams, because a stream takes a task and three waits."""

    def __init__(self, receive: Callable[[Message], None]) -> None:
        self._receive = receive
        self._received = bytearray()
        self._transport: asyncio.Transport
        self.ended = asyncio.get_running_loop().create_future()
        """Done when the other process has closed its end."""

    @classmethod
    async def open(cls, end: socket.socket, receive: Callable[[Message], None]) -> "Channel":
        """Begin to receive: ``receive`` is called for each message."""
        _, channel = await asyncio.get_running_loop().create_connection(lambda: cls(receive), sock=end)
        return channel

    def send(self, header: dict[str, Any], content: bytes | bytearray = b"") -> None:
        """Send a message, without waiting until it has left."""
        text = orjson.dumps(header)
        self._transport.writelines([_SIZES.pack(len(text), len(content)), text, content])

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio with some bytes, which may end anywhere in a message."""
        self._received += data
        while len(self._received) >= _SIZES.size:
            header, content = _SIZES.unpack_from(self._received)
            begin, end = _SIZES.size + header, _SIZES.size + header + content
            if len(self._received) < end:
                break
            text, body = self._received[_SIZES.size : begin], bytes(memoryview(self._received)[begin:end])
            del self._received[:end]
            self._receive(Message(orjson.loads(text), body))

    def connection_lost(self, _: Exception | None) -> None:
        """Called by asyncio when the other process has gone, or after ``close``."""
        self.ended.set_result(None)
