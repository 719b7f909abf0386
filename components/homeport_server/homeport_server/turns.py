"""The order of requests: one at a time is computed, and a limited number of them wait for a limited time.

Large requests take long. So that they do not keep small ones waiting, each kind has a queue of its own, and the two
queues take turns.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from homeport_server.refusal import RefusedError, busy
from homeport_server.settings import SMALL_BYTES, Bounds

Result = TypeVar("Result")

MOST_WAITING = 256
"""More than a second of requests at 200 a second, the rate of the tests of updates; less than the connections there are."""

_WEIGHT = 0.2
"""Of the latest request in the mean time that one takes."""


class Turns:
    """The requests that wait for the model."""

    def __init__(self, bounds: Bounds) -> None:
        self._seconds = bounds.drain_seconds
        self._taken = False
        self._mean = 0.0
        self._small: deque[asyncio.Future[None]] = deque()
        self._large: deque[asyncio.Future[None]] = deque()
        self._last = self._large

    async def take(self, receive: Receive, size: int, compute: Callable[[], asyncio.Future[Result]]) -> Result:
        """Compute the answer to a request with a body of this size, when it is its turn.

        Raises:
            ClientDisconnect: The sender hung up before its turn, so nothing was computed.
            RefusedError: Too many wait, or the answer takes longer than the longest request may.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds
        if self._taken:
            await self._wait(receive, self._small if size <= SMALL_BYTES else self._large)
        self._taken = True
        begun = loop.time()
        answer = compute()
        # The model cannot be interrupted. Its caller is told in time; the turn ends when the model is done.
        answer.add_done_callback(lambda _: self._finish(answer, loop.time() - begun))
        done, _ = await asyncio.wait({answer}, timeout=end - begun)
        if not done:
            raise RefusedError(f"the answer takes longer than {self._seconds} seconds", "less work in one request", 504)
        return answer.result()

    async def _wait(self, receive: Receive, queue: deque[asyncio.Future[None]]) -> None:
        waiting = len(self._small) + len(self._large)
        expected = (waiting + 2) * self._mean  # of those that wait, the one that is computed, and this one
        if waiting >= MOST_WAITING or expected > self._seconds:
            raise busy(f"{waiting} requests wait already", max(1, math.ceil(min(expected, self._seconds))))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gone = asyncio.ensure_future(_hung_up(receive))
        queue.append(turn)
        try:
            await asyncio.wait({turn, gone}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise ClientDisconnect
            if not turn.done():
                raise busy(f"no turn within {self._seconds} seconds", max(1, math.ceil(self._mean)))
        except BaseException:
            if turn.done():
                self._pass_on()
            else:
                queue.remove(turn)
            raise
        finally:
            gone.cancel()

    def _finish(self, answer: asyncio.Future[Result], took: float) -> None:
        if not answer.cancelled():
            answer.exception()  # otherwise asyncio would log an error whose caller no longer waits
        self._mean = self._mean + _WEIGHT * (took - self._mean) if self._mean else took
        self._pass_on()

    def _pass_on(self) -> None:
        other = self._large if self._last is self._small else self._small
        self._last = other if other else self._last
        if self._last:
            self._last.popleft().set_result(None)
        else:
            self._taken = False


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
