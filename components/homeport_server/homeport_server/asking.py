"""The second process, as the first one sees it: it is started, asked, and stopped.

The first process reads requests and answers the health checks. All that takes long is in the second one: to parse JSON,
which keeps Python's lock until it is done, and to run the model's code, which may keep it for minutes.
"""

import asyncio
import itertools
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

import orjson

from homeport_server.messages import Channel, Message

logger = logging.getLogger("homeport_server.serving")

READY_VARIABLE = "HOMEPORT_READY_TEXT"
"""Variable with what the log says when all models are ready: `homeport run` tells there what to do next."""

_STOP_SECONDS = 2


class WorkerEndedError(Exception):
    """The second process has ended, so it computes nothing further."""


class Worker:
    """The second process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._channel: Channel
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Message]] = {}
        self.metadata: dict[str, Any] | None = None
        """What the models say about themselves; None until all of them are loaded."""

    @classmethod
    async def start(cls, folder: Path, target: str | None) -> "Worker":
        """Start the process, which begins to load the models."""
        ours, theirs = socket.socketpair()
        with theirs:
            # -P: the model's folder is the current one, and its files must not hide modules of the server.
            program = [sys.executable, "-P", "-m", "homeport_server.worker"]
            arguments = [str(theirs.fileno()), str(folder), *([target] if target else [])]
            process = await asyncio.create_subprocess_exec(*program, *arguments, pass_fds=[theirs.fileno()])
        worker = cls(process)
        worker._channel = await Channel.open(ours, worker._receive)
        worker._channel.ended.add_done_callback(lambda _: worker._give_up())
        return worker

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def ask(self, kind: str, content: bytes | bytearray = b"", **header: Any) -> asyncio.Future[Message]:
        """Ask; the result is the answer, or ``WorkerEndedError``."""
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        if self._channel.ended.done():
            answer.set_exception(WorkerEndedError())
            return answer
        number = next(self._numbers)
        self._answers[number] = answer
        self._channel.send({"number": number, "kind": kind, **header}, content)
        return answer

    async def ended(self) -> int:
        """Wait until the process ends; returns its exit code."""
        return await self._process.wait()

    async def stop(self) -> None:
        """End the process."""
        self._channel.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def _receive(self, message: Message) -> None:
        number = message.header["number"]
        if number == 0:
            self.metadata = orjson.loads(message.content)
            for name in self.metadata["models"]:
                logger.info("model %s is ready", name)
            for line in os.environ.get(READY_VARIABLE, "").splitlines():
                logger.info("%s", line)
        elif not (answer := self._answers.pop(number)).done():
            answer.set_result(message)

    def _give_up(self) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(WorkerEndedError())
