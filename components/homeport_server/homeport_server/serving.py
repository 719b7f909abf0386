"""Starts and stops the server: first the ports, then the models. After SIGTERM it answers requests in flight.

Only parts of MLServer are used, not its server class. That class exits with code 0 when a model cannot be loaded, which
hides the failure. With a current uvicorn, it stops several times, because each port catches the signal and raises it
again. And it always opens a gRPC port, which bypasses the limits on size, number and memory. There is no gRPC here until
a caller needs it.
"""

import asyncio
import contextlib
import errno
import logging
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, REGISTRY
from prometheus_client import generate_latest as own_metrics
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from homeport_server.asking import Worker
from homeport_server.connections import SOCKET_BYTES, Config, Connection
from homeport_server.core import Core
from homeport_server.settings import Address, Bounds
from homeport_server.trimming import trim

logger = logging.getLogger(__name__)

_TICK_SECONDS = 0.1
"""Between two calls of ``Port.on_tick``: uvicorn's."""

_EVERY_ADDRESS = "0.0.0.0"  # noqa: S104


class Port(uvicorn.Server):
    """One listening port. Signals are handled once for all ports, in ``serve``."""

    def __init__(self, config: Config, core: Core) -> None:
        super().__init__(config)
        self._core = core
        self._ticked: float | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signal handlers alone."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second."""
        now = asyncio.get_running_loop().time()
        self._core.notice(now - (self._ticked or now) - _TICK_SECONDS, now)
        self._ticked = now
        if counter % 10 == 0:
            for connection in cast("list[Connection]", list(self.server_state.connections)):
                connection.check_time(now)
        if counter % 100 == 0:
            trim()
        return await super().on_tick(counter)


async def serve(folder: Path, target: str | None, address: Address, bounds: Bounds) -> int:
    """Serve the models of a folder, or a function or class in it, until SIGTERM.

    Returns the exit code: 0 after SIGTERM; 1 if the models cannot be loaded, are not loaded yet, or their process ends.
    """
    begun = asyncio.get_running_loop().time()
    try:
        sockets = [_listening(address.host, port) for port in (address.http_port, address.metrics_port)]
    except OSError as error:
        logger.error("%s", error)
        return 1
    worker = await Worker.start(folder, target)
    from homeport_server.app import create_app  # noqa: PLC0415  # takes a second, in which the model is loaded already

    core = Core(worker.pid)
    protocol = Port(_config(create_app(worker, bounds), bounds), core)
    metrics = Port(_config(_metrics(worker), bounds), core)

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    protocol_runs, metrics_runs, ended, stopping = (
        asyncio.create_task(each)
        for each in (protocol.serve(sockets[:1]), metrics.serve(sockets[1:]), worker.ended(), stop.wait())
    )
    await asyncio.wait({protocol_runs, metrics_runs, ended, stopping}, return_when=asyncio.FIRST_COMPLETED)

    asked, ready = stop.is_set(), worker.metadata is not None
    if ended.done() and ready:
        logger.error("the model's process ended with code %s", ended.result())
    elif asked and not ready:
        logger.error(
            "asked to stop %.0f seconds after the start, before the models were loaded; accepted: a start that takes no "
            "longer than `startup_seconds` in model.yaml",
            asyncio.get_running_loop().time() - begun,
        )
    logger.info("stopping: no new connections, requests in flight are answered")
    protocol.should_exit = True
    await protocol_runs
    metrics.should_exit = True  # last, so that the shutdown can be observed
    await metrics_runs
    stopping.cancel()
    await worker.stop()
    logger.info("stopped")
    return 0 if asked and ready else 1


def _metrics(worker: Worker) -> ASGIApp:
    """Metrics of requests from this process, and of models and libraries from the other."""
    for collector in (GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR):  # the other process has them, too
        REGISTRY.unregister(collector)

    async def read(_: Request) -> Response:
        of_models = (await worker.ask("metrics")).content if worker.metadata else b""
        return Response(own_metrics() + of_models, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return Starlette(routes=[Route("/metrics", read)])


def _config(app: ASGIApp, bounds: Bounds) -> Config:
    return Config(
        app,
        bounds,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=bounds.drain_seconds,
    )


def _listening(host: str, port: int) -> socket.socket:
    """A socket for IPv4 and IPv6 where the machine has both and no address is stated, with small buffers."""
    listening = _every_address(port) if host == _EVERY_ADDRESS else _one_address(host, port)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):  # connections inherit them
        listening.setsockopt(socket.SOL_SOCKET, option, SOCKET_BYTES)
    return listening


def _every_address(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
    return socket.create_server((_EVERY_ADDRESS, port))


def _one_address(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
