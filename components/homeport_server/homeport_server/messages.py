"""Messages between the two processes of the server, over one socket: a header in JSON, and bytes as they are."""

import struct
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from typing import Any, NamedTuple

import orjson

_SIZES = struct.Struct("!IQ")


class Message(NamedTuple):
    """One message. ``number`` in the header tells which question it asks or answers."""

    header: dict[str, Any]
    content: bytes


def send(writer: StreamWriter, header: dict[str, Any], content: bytes | bytearray = b"") -> None:
    """Write a message; the caller may wait with ``drain`` until it has left."""
    text = orjson.dumps(header)
    writer.write(_SIZES.pack(len(text), len(content)) + text)
    writer.write(content)


async def receive(reader: StreamReader) -> Message | None:
    """The next message; None if the other process has ended."""
    try:
        header, content = _SIZES.unpack(await reader.readexactly(_SIZES.size))
        return Message(orjson.loads(await reader.readexactly(header)), await reader.readexactly(content))
    except (IncompleteReadError, ConnectionResetError):
        return None
