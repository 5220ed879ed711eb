"""Everything a worker answers but inference: the page, health, metadata, metrics, the OpenAPI document.

There are no other routes: no management, no loading, no page that needs scripts from elsewhere.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bedplate.runtime.server import example, metrics, openapi, page_files
from bedplate.runtime.server.config import Config
from bedplate.runtime.server.model import Model, Tensor
from bedplate.runtime.server.readiness import Readiness
from bedplate.version import __version__

_PLATFORM = "onnxruntime_onnx"
_WORDS = {
    "Not Found": "there is nothing at this path",
    "Method Not Allowed": "this path does not take that method",
}
EXTENSIONS = ("binary_tensor_data",)


def application(config: Config, readiness: Readiness, counted: metrics.Metrics) -> Starlette:
    """The application of one worker."""
    pages = _Pages(config, readiness, counted)
    version = "/v2/models/{name}/versions/{version}"
    routes = [
        Route("/health", pages.health),
        Route("/v2/health/live", pages.live),
        Route("/v2/health/ready", pages.ready),
        Route("/v2", pages.server),
        *(Route(path, pages.model) for path in ("/v2/models/{name}", version)),
        *(Route(f"{path}/ready", pages.model_ready) for path in ("/v2/models/{name}", version)),
        Route("/metrics", pages.metrics),
        Route("/openapi.json", pages.document),
        Route("/page/service.json", pages.service),
        *page_files.routes(),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _as_error})
    app.router.redirect_slashes = False
    return app


async def _as_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    text = _WORDS.get(error.detail, error.detail)
    return JSONResponse({"error": text}, status_code=error.status_code, headers=error.headers)


def _probe(body: dict[str, object], good: bool) -> JSONResponse:
    return JSONResponse(body, status_code=200 if good else 503)


class _Pages:
    def __init__(self, config: Config, readiness: Readiness, counted: metrics.Metrics) -> None:
        self._config = config
        self._readiness = readiness
        self._counted = counted

    async def health(self, _: Request) -> Response:
        good = self._readiness.ready
        return _probe({"status": "ok" if good else "not ready"}, good)

    async def live(self, _: Request) -> Response:
        return _probe({"live": True}, True)

    async def ready(self, _: Request) -> Response:
        return _probe({"ready": self._readiness.ready}, self._readiness.ready)

    async def server(self, _: Request) -> Response:
        told = {"name": self._config.service, "version": __version__, "extensions": list(EXTENSIONS)}
        return JSONResponse(told)

    async def model(self, request: Request) -> Response:
        found = self._readiness.models.get(self._meant(request))
        if found is None:
            return JSONResponse({"error": "the model is not ready"}, status_code=503)
        return JSONResponse(described(found, self._readiness))

    async def model_ready(self, request: Request) -> Response:
        good = self._readiness.serves(self._meant(request))
        body: dict[str, object] = {"name": request.path_params["name"], "ready": good}
        return _probe(body if good else {**body, "error": "the model is not ready"}, good)

    def _meant(self, request: Request) -> tuple[str, str]:
        name, version = request.path_params["name"], request.path_params.get("version")
        pair = self._readiness.find(name, version)
        if pair is None:
            raise HTTPException(404, self._readiness.unknown(name, version))
        return pair

    async def metrics(self, _: Request) -> Response:
        self._counted.write()  # here, where all is counted; the page is made beside the loop
        return Response(await run_in_threadpool(self._counted.page), media_type=metrics.CONTENT_TYPE)

    async def document(self, _: Request) -> Response:
        return JSONResponse(openapi.document(self._config, self._readiness))

    async def service(self, _: Request) -> Response:
        told = _service(self._config, self._readiness)
        return JSONResponse(told, headers={"cache-control": "no-store"})


def _service(config: Config, readiness: Readiness) -> dict[str, object]:
    """What the page shows: the service, and its models with a request to try each with."""
    return {
        "name": config.service,
        "version": __version__,
        "ready": readiness.ready,
        "slo_p95_s": config.slo_p95_s,
        "models": [_tried(model, readiness) for model in readiness.models.values()],
    }


def _tried(model: Model, readiness: Readiness) -> dict[str, object]:
    made = example.of(model)
    return {
        **described(model, readiness),
        "version": model.version,
        "latest": readiness.find(model.name, None) == (model.name, model.version),
        "example": made.request,
        "note": made.note,
    }


def described(model: Model, readiness: Readiness) -> dict[str, object]:
    """A model's metadata."""
    return {
        "name": model.name,
        "versions": readiness.versions(model.name),
        "platform": _PLATFORM,
        "inputs": [_tensor(tensor) for tensor in model.inputs],
        "outputs": [_tensor(tensor) for tensor in model.outputs],
    }


def _tensor(tensor: Tensor) -> dict[str, object]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
