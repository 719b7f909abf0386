"""The program of the second process: it loads the models and answers what the first process asks.

It is started with the number of a socket, a folder and what to serve. Requests come one after another, because the
first process sends the next one when it has the answer.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import uvloop
from mlserver import Settings
from mlserver.codecs.json import encode_to_json_bytes
from mlserver.errors import MLServerError
from mlserver.handlers import DataPlane
from mlserver.registry import MultiModelRegistry
from mlserver.utils import extract_headers
from prometheus_client import generate_latest

from homeport_server import MissingLibraryError, logs
from homeport_server.finding import NothingToServeError, find
from homeport_server.messages import Channel, Message
from homeport_server.reading import read
from homeport_server.refusal import RefusedError
from homeport_server.settings import Bounds
from homeport_server.trimming import trim

logger = logging.getLogger(__name__)

_LARGE = 2**20
_NICE = 19
"""Where both processes want the cpu, the one that reads requests and answers health checks gets nearly all of it."""
_LONGEST_REASON = 1000


def main() -> None:
    """Answer until the first process closes the socket. Only that process gets signals meant for the server."""
    number, folder, *target = sys.argv[1:]
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        # Not SIG_IGN, which programs that the model starts would inherit.
        signal.signal(signal_number, lambda *_: None)
    logs.configure()
    os.nice(_NICE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_run(socket.socket(fileno=int(number)), Path(folder), target[0] if target else None))
    logging.shutdown()
    os._exit(code)  # a model that still computes must not delay the end


async def _run(connection: socket.socket, folder: Path, target: str | None) -> int:
    registry = MultiModelRegistry()
    # One process for all models, because MLServer's own workers need writable folders and hide their crashes.
    plane = DataPlane(Settings(debug=False, parallel_workers=0, model_repository_root=str(folder)), registry)
    if not await _load(folder, target, registry):
        return 1
    answering = Answering(plane, Bounds())
    channel = await Channel.open(connection, answering.begin)
    answering.channel = channel
    channel.send({"number": 0}, orjson.dumps(await _metadata(plane, registry)))
    gc.collect()
    gc.freeze()  # what is loaded stays, so the collector need not look at it again
    await channel.ended
    return 0


async def _load(folder: Path, target: str | None, registry: MultiModelRegistry) -> bool:
    try:
        for model in await find(folder, target):
            try:
                await registry.load(model)
            except MissingLibraryError:
                raise
            except Exception as error:
                logger.error("model %s could not be loaded", model.name, exc_info=logs.own(error))
                return False
    except (NothingToServeError, MissingLibraryError) as error:
        logger.error("%s", error)  # the text is complete; a traceback would hide it
        return False
    return True


async def _metadata(plane: DataPlane, registry: MultiModelRegistry) -> dict[str, Any]:
    """What the server and each version of each model say; the version "" is the one for requests that name none."""
    models: dict[str, dict[str, Any]] = {}
    for model in await registry.get_models():
        versions = models.setdefault(model.name, {})
        for version in {"", model.version or ""}:
            told = await plane.model_metadata(model.name, version or None)
            versions[version] = told.model_dump(mode="json", exclude_none=True)
    return {"server": (await plane.metadata()).model_dump(), "models": models}


class Answering:
    """Answers questions of the first process."""

    channel: Channel

    def __init__(self, plane: DataPlane, bounds: Bounds) -> None:
        self._plane = plane
        self._bounds = bounds
        self._running: set[asyncio.Task[None]] = set()
        self._kinds: dict[str, Callable[[Message], Awaitable[bytes]]] = {"infer": self._infer, "metrics": self._metrics}

    def begin(self, message: Message) -> None:
        """Begin to answer a question."""
        task = asyncio.create_task(self._answer(message))
        self._running.add(task)  # asyncio itself does not keep it
        task.add_done_callback(self._running.discard)

    async def _answer(self, message: Message) -> None:
        status, content = 200, b""
        try:
            content = await self._kinds[message.header["kind"]](message)
        except (RefusedError, MLServerError) as error:
            status, content = error.status_code, _error(str(error))
        except Exception as error:
            logger.exception("a request failed in the server")
            status, content = 500, _error(f"the server failed with {type(error).__name__}; see its log")
        self.channel.send({"number": message.header["number"], "status": status}, content)
        if len(message.content) > _LARGE:
            del message
            trim()

    async def _infer(self, message: Message) -> bytes:
        header = message.header
        request = read(message.content, header["encoding"], self._bounds)
        result = await self._plane.infer(request, header["name"], header["version"])
        extract_headers(result)  # removes CloudEvents headers from the answer's parameters
        content: bytes = encode_to_json_bytes(result.model_dump(exclude_none=True))
        most = self._bounds.max_held_by_one
        if len(content) > most:
            raise RefusedError(
                f"the answer has {len(content)} bytes", f"fewer rows, so that the answer has at most {most} bytes", 413
            )
        return content

    async def _metrics(self, _: Message) -> bytes:
        content: bytes = generate_latest()
        return content


def _error(text: str) -> bytes:
    return orjson.dumps({"error": text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."})


if __name__ == "__main__":
    main()
