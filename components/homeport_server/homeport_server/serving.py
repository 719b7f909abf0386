"""Starts and stops the server: first the ports, then the models. After SIGTERM it answers requests in flight; exit code 0.

Only parts of MLServer are used, not its server class. That class exits with code 0 when a model cannot be loaded, which
hides the failure. With a current uvicorn, it stops several times, because each port catches the signal and raises it
again. And it always opens a gRPC port, which bypasses the limits on size, number and memory. There is no gRPC here until
a caller needs it.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from mlserver import Settings
from mlserver.handlers import DataPlane
from mlserver.metrics.prometheus import PrometheusEndpoint
from mlserver.registry import MultiModelRegistry
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from homeport_server.app import create_app
from homeport_server.finding import NothingToServeError, find
from homeport_server.settings import Bounds

logger = logging.getLogger(__name__)


class Port(uvicorn.Server):
    """One listening port. Signals are handled once for all ports, in ``serve``."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signal handlers alone."""
        yield


async def serve(folder: Path, target: str | None, settings: Settings, bounds: Bounds) -> int:
    """Serve the models of a folder, or a function or class in it, until SIGTERM; returns the exit code."""
    registry = MultiModelRegistry()
    plane, all_loaded = DataPlane(settings, registry), asyncio.Event()
    protocol = _port(create_app(plane, registry, bounds, all_loaded), settings.host, settings.http_port, bounds)
    metrics = _port(_metrics(settings), settings.host, settings.metrics_port, bounds)

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    protocol_runs, metrics_runs = asyncio.create_task(protocol.serve()), asyncio.create_task(metrics.serve())
    loading = asyncio.create_task(_load(folder, target, registry))
    stopping = asyncio.create_task(stop.wait())

    await asyncio.wait({loading, stopping, protocol_runs, metrics_runs}, return_when=asyncio.FIRST_COMPLETED)
    loaded = loading.done() and loading.result()
    if loaded:
        all_loaded.set()
        await asyncio.wait({stopping, protocol_runs, metrics_runs}, return_when=asyncio.FIRST_COMPLETED)

    asked = stop.is_set()
    logger.info("stopping: no new connections, requests in flight are answered")
    protocol.should_exit = True
    await protocol_runs
    metrics.should_exit = True  # last, so that the shutdown can be observed
    await metrics_runs
    loading.cancel()
    stopping.cancel()
    logger.info("stopped")
    return 0 if asked else 1


async def _load(folder: Path, target: str | None, registry: MultiModelRegistry) -> bool:
    try:
        models = await find(folder, target)
    except NothingToServeError as error:
        logger.error("%s", error)  # the text is complete; a traceback would hide it
        return False
    for model in models:
        try:
            await registry.load(model)
        except Exception:
            logger.exception("model %s could not be loaded", model.name)
            return False
        logger.info("model %s is ready", model.name)
    return True


def _metrics(settings: Settings) -> ASGIApp:
    return Starlette(routes=[Route("/metrics", PrometheusEndpoint(settings).handle_metrics)])


def _port(app: ASGIApp, host: str, number: int, bounds: Bounds) -> Port:
    return Port(
        uvicorn.Config(
            app,
            host=host,
            port=number,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=bounds.drain_seconds,
        )
    )
