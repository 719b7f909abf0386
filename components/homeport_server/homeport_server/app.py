"""The server's paths: those of the Open Inference Protocol. Every error is ``{"error": reason}``.

The routes are homeport's own. MLServer's application is not used because
- its ``/v2/repository/models/.../unload`` lets any sender take the model down,
- its request class holds the whole body and unpacks gzip without a limit,
- it counts unknown model names as new metrics, without a limit,
- errors of its framework have ``detail``, not the protocol's ``error``.
"""

from typing import Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette_exporter import PrometheusMiddleware

from homeport_server.answer import Answer
from homeport_server.asking import Worker, WorkerEndedError
from homeport_server.body import reading
from homeport_server.held import Held, HeldAnswer
from homeport_server.refusal import RefusedError, busy, shown
from homeport_server.settings import Bounds
from homeport_server.turns import Turns

_METHODS = {"GET", "HEAD", "POST"}


class Endpoints:
    """The paths of the protocol."""

    def __init__(self, worker: Worker, bounds: Bounds) -> None:
        self._worker = worker
        self._bounds = bounds
        self._held = Held(bounds)
        self._turns = Turns(bounds)

    async def live(self, _: Request) -> Answer:
        """Answer that the process is live. If the model's process ends, this one ends too."""
        return Answer({"live": True})

    async def ready(self, _: Request) -> Answer:
        """Whether all models are loaded."""
        ready = self._worker.metadata is not None
        return Answer({"ready": ready}, 200 if ready else 503)

    async def server(self, _: Request) -> Answer:
        """The server's metadata."""
        return Answer(self._metadata["server"])

    async def model(self, request: Request) -> Answer:
        """The model's inputs and outputs."""
        return Answer(self._known(request))

    async def model_ready(self, request: Request) -> Answer:
        """Whether this model is ready: it is, if it is known."""
        self._known(request)
        return Answer({"name": request.path_params["name"], "ready": True})

    async def infer(self, request: Request) -> Answer:
        """Let the model answer the request."""
        self._known(request)
        path = request.path_params
        header = {
            "name": path["name"],
            "version": path.get("version"),
            "encoding": ", ".join(request.headers.getlist("content-encoding")),
        }
        async with reading(request, self._held, self._bounds) as body:
            told = await self._turns.take(request.receive, len(body), lambda: self._worker.ask("infer", body, **header))
        return HeldAnswer(told.content, told.header["status"], self._held, request)

    @property
    def _metadata(self) -> dict[str, Any]:
        if self._worker.metadata is None:
            raise busy("the models are not loaded yet")
        return self._worker.metadata

    def _known(self, request: Request) -> Any:
        """What the model of the path says about itself."""
        name, version = request.path_params["name"], request.path_params.get("version", "")
        models = self._metadata["models"]
        if version not in models.get(name, {}):
            found = f"model {shown(name)}" + (f" in version {shown(version)}" if version else "")
            raise RefusedError(f"{found} is unknown", f"the models {', '.join(sorted(map(shown, models)))}", 404)
        return models[name][version]


def create_app(worker: Worker, bounds: Bounds) -> ASGIApp:
    """The application of the protocol's port."""
    endpoints = Endpoints(worker, bounds)
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
            RefusedError: _refused,
            HTTPException: _http_error,
            ClientDisconnect: _gone,
            WorkerEndedError: _ended,
            Exception: _unforeseen,
        },
    )
    # A redirect would name the host that the request names, and another scheme than that of a gateway before this server.
    app.router.redirect_slashes = False
    return Admission(app)


class Admission:
    """Lets only known methods and paths of this server through.

    The metrics would count each unknown method as a new series. Starlette writes host and path one after the other and
    reads the path from that, so without a slash between them it finds another path, or fails.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["method"] not in _METHODS:
            found, accepted = f"method {shown(scope['method'])} is unknown", ", ".join(sorted(_METHODS))
            await Answer.of(RefusedError(found, accepted, 405))(scope, receive, send)
            return
        if scope["type"] == "http" and not scope["path"].startswith("/"):
            refusal = RefusedError(f"path {shown(scope['path'])} begins without a slash", "such as /v2/health/live")
            await Answer.of(refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def _refused(_: Request, error: Exception) -> Response:
    return Answer.of(cast(RefusedError, error))


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    path = shown(request.url.path)
    reason = {
        404: f"path {path} is unknown; accepted: /v2/models/NAME/infer and other paths of the Open Inference Protocol",
        405: f"{request.method} is not allowed for path {path}; accepted: {(headers or {}).get('Allow', 'another method')}",
    }.get(status, str(getattr(error, "detail", "")))
    return Answer({"error": reason}, status, headers)


async def _gone(_: Request, __: Exception) -> Response:
    return Answer({"error": "the sender closed the connection"}, 400)


async def _ended(_: Request, __: Exception) -> Response:
    return Answer({"error": "the model's process ended while it computed the answer; see its log"}, 500)


async def _unforeseen(_: Request, error: Exception) -> Response:
    return Answer({"error": f"the server failed with {type(error).__name__}; see its log"}, 500)
