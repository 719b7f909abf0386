"""The server's paths: those of the Open Inference Protocol. Every error is ``{"error": reason}``.

The routes are homeport's own, on MLServer's data plane. MLServer's application is not used because
- its ``/v2/repository/models/.../unload`` lets any sender take the model down,
- its request class holds the whole body and unpacks gzip without a limit,
- it counts unknown model names as new metrics, without a limit,
- errors of its framework have ``detail``, not the protocol's ``error``.
"""

import asyncio

from mlserver.errors import MLServerError, ModelNotFound
from mlserver.handlers import DataPlane
from mlserver.registry import MultiModelRegistry
from mlserver.rest.responses import Response
from mlserver.utils import extract_headers
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette_exporter import PrometheusMiddleware

from homeport_server.body import Bodies
from homeport_server.held import Held, HeldResponse
from homeport_server.reading import read
from homeport_server.refusal import RefusedError, shown
from homeport_server.settings import Bounds

_METHODS = {"GET", "HEAD", "POST"}


class Endpoints:
    """The paths of the protocol."""

    def __init__(self, plane: DataPlane, registry: MultiModelRegistry, bounds: Bounds, loaded: asyncio.Event) -> None:
        self._plane = plane
        self._registry = registry
        self._loaded = loaded
        self._bounds = bounds
        self._held = Held(bounds)
        self._bodies = Bodies(bounds, self._held)
        # A parsed body takes many times its size, so bodies are parsed one at a time and the others wait as bytes.
        self._turn = asyncio.Semaphore(1)

    async def live(self, _: Request) -> Response:
        """Answer that the process is live."""
        return Response({"live": await self._plane.live()})

    async def ready(self, _: Request) -> Response:
        """Whether all models are loaded and ready. MLServer itself would count zero models as ready."""
        ready = self._loaded.is_set() and all(model.ready for model in await self._registry.get_models())
        return Response({"ready": ready}, status_code=200 if ready else 503)

    async def server(self, _: Request) -> Response:
        """The server's metadata."""
        metadata = await self._plane.metadata()
        return Response(metadata.model_dump())

    async def model(self, request: Request) -> Response:
        """The model's inputs and outputs."""
        metadata = await self._plane.model_metadata(*await self._known(request))
        return Response(metadata.model_dump(mode="json", exclude_none=True))

    async def model_ready(self, request: Request) -> Response:
        """Whether this model is ready."""
        name, version = await self._known(request)
        ready = await self._plane.model_ready(name, version)
        return Response({"name": name, "ready": ready}, status_code=200 if ready else 503)

    async def infer(self, request: Request) -> Response:
        """Let the model answer the request."""
        name, version = await self._known(request)
        if not await self._plane.model_ready(name, version):
            raise RefusedError(f"model {shown(name)} is not ready yet", "the same request later", 503)
        async with self._bodies.reading(request) as body, self._turn:
            result = await self._plane.infer(read(body), name, version)
            extract_headers(result)  # removes CloudEvents headers from the answer's parameters
            return HeldResponse(result.model_dump(exclude_none=True), self._held, self._bounds)

    async def _known(self, request: Request) -> tuple[str, str | None]:
        """Name and version from the path. Unknown models are refused here, because MLServer would count them as metrics."""
        name, version = request.path_params["name"], request.path_params.get("version")
        try:
            await self._registry.get_model(name, version)
        except ModelNotFound:
            found = f"model {shown(name)}" + (f" in version {shown(version)}" if version else "")
            models = await self._registry.get_models()
            served = sorted({shown(model.name) for model in models})
            raise RefusedError(f"{found} is unknown", f"the models {', '.join(served)}", 404) from None
        return name, version


def create_app(plane: DataPlane, registry: MultiModelRegistry, bounds: Bounds, loaded: asyncio.Event) -> ASGIApp:
    """The application of the protocol's port; ``loaded`` is set when all models are loaded."""
    endpoints = Endpoints(plane, registry, bounds, loaded)
    routes = [
        Route("/v2", endpoints.server),
        Route("/v2/health/live", endpoints.live),
        Route("/v2/health/ready", endpoints.ready),
    ]
    for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        routes += [
            Route(model, endpoints.model),
            Route(f"{model}/ready", endpoints.model_ready),
            Route(f"{model}/infer", endpoints.infer, methods=["POST"]),
        ]
    metrics = Middleware(
        PrometheusMiddleware,
        app_name="mlserver",
        prefix="rest_server",
        skip_paths=["/v2/health/live", "/v2/health/ready"],
    )
    app = Starlette(
        routes=routes,
        middleware=[metrics],
        exception_handlers={
            MLServerError: _mlserver_error,
            HTTPException: _http_error,
            ClientDisconnect: _gone,
            Exception: _unforeseen,
        },
    )
    # A redirect would name the host that the request names, and another scheme than that of a gateway before this server.
    app.router.redirect_slashes = False
    return KnownMethods(app)


class KnownMethods:
    """Lets only known HTTP methods through, because the metrics would count each unknown one as a new series."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["method"] not in _METHODS:
            answer = Response(
                {"error": f"method {shown(scope['method'])} is unknown; accepted: {', '.join(sorted(_METHODS))}"}, 405
            )
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def _mlserver_error(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, MLServerError) else 500
    text = str(error)
    return Response({"error": text if len(text) <= 1000 else f"{text[:1000]}..."}, status_code=status)


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    path = shown(request.url.path)
    reason = {
        404: f"path {path} is unknown; accepted: /v2/models/NAME/infer and other paths of the Open Inference Protocol",
        405: f"{request.method} is not allowed for path {path}; accepted: {(headers or {}).get('Allow', 'another method')}",
    }.get(status, str(getattr(error, "detail", "")))
    return Response({"error": reason}, status_code=status, headers=headers)


async def _gone(_: Request, __: Exception) -> Response:
    return Response({"error": "the sender closed the connection"}, status_code=400)


async def _unforeseen(_: Request, error: Exception) -> Response:
    return Response({"error": f"the server failed with {type(error).__name__}; see its log"}, status_code=500)
