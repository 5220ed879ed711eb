"""Everything a worker answers but inference: the page, health, metadata, metrics, the OpenAPI document.

There are no other routes: no management, no loading, no page that needs scripts from elsewhere.
"""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from bedplate.runtime.server import example, metrics, openapi, page_files
from bedplate.runtime.server.config import Config
from bedplate.runtime.server.model import Model, Tensor
from bedplate.runtime.server.readiness import Readiness
from bedplate.version import __version__

_PLATFORM = "onnxruntime_onnx"


def application(config: Config, readiness: Readiness, counted: metrics.Metrics) -> FastAPI:
    """The FastAPI application of one worker."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_exception_handler(HTTPException, _as_error)
    _health(app, readiness)
    _metadata(app, config, readiness)
    page_files.add(app)

    @app.get("/page/service.json")
    async def service() -> Response:
        return JSONResponse(_service(config, readiness), headers={"cache-control": "no-store"})

    @app.get("/metrics")
    def page() -> Response:
        return Response(counted.page(), media_type=metrics.CONTENT_TYPE)

    @app.get("/openapi.json")
    async def document() -> Response:
        return JSONResponse(openapi.document(config, readiness))

    return app


async def _as_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    words = {404: "there is nothing at this path", 405: "this path does not take that method"}
    text = words.get(error.status_code, str(error.detail))
    return JSONResponse({"error": text}, status_code=error.status_code, headers=error.headers)


def _probe(body: dict[str, object], good: bool) -> JSONResponse:
    return JSONResponse(body, status_code=200 if good else 503)


def _health(app: FastAPI, readiness: Readiness) -> None:
    @app.get("/health")
    async def health() -> Response:
        return _probe({"status": "ok" if readiness.ready else "not ready"}, readiness.ready)

    @app.get("/v2/health/live")
    async def live() -> Response:
        return _probe({"live": True}, True)

    @app.get("/v2/health/ready")
    async def ready() -> Response:
        return _probe({"ready": readiness.ready}, readiness.ready)


def _metadata(app: FastAPI, config: Config, readiness: Readiness) -> None:
    @app.get("/v2")
    async def server() -> Response:
        return JSONResponse(
            {"name": config.service, "version": __version__, "extensions": ["binary_tensor_data"]}
        )

    @app.get("/v2/models/{name}")
    @app.get("/v2/models/{name}/versions/{version}")
    async def model(name: str, version: str | None = None) -> Response:
        found = readiness.models.get(_known(readiness, name, version))
        if found is None:
            return JSONResponse({"error": "the model is not ready"}, status_code=503)
        return JSONResponse(_described(found, readiness))

    @app.get("/v2/models/{name}/ready")
    @app.get("/v2/models/{name}/versions/{version}/ready")
    async def model_ready(name: str, version: str | None = None) -> Response:
        good = readiness.serves(_known(readiness, name, version))
        body: dict[str, object] = {"name": name, "ready": good}
        return _probe(body if good else {**body, "error": "the model is not ready"}, good)


def _known(readiness: Readiness, name: str, version: str | None) -> tuple[str, str]:
    pair = readiness.find(name, version)
    if pair is None:
        raise HTTPException(404)
    return pair


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
        **_described(model, readiness),
        "version": model.version,
        "latest": readiness.find(model.name, None) == (model.name, model.version),
        "example": made.request,
        "note": made.note,
    }


def _described(model: Model, readiness: Readiness) -> dict[str, object]:
    return {
        "name": model.name,
        "versions": readiness.versions(model.name),
        "platform": _PLATFORM,
        "inputs": [_tensor(tensor) for tensor in model.inputs],
        "outputs": [_tensor(tensor) for tensor in model.outputs],
    }


def _tensor(tensor: Tensor) -> dict[str, object]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
