"""The OpenAPI document of a server: its inference routes with the models' own signatures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from bedplate.runtime.server import example
from bedplate.runtime.server.config import Config
from bedplate.runtime.server.json_data import NO_JSON_FORM
from bedplate.runtime.server.model import Model, Tensor
from bedplate.runtime.server.readiness import Readiness
from bedplate.version import __version__

_ELEMENTS: Mapping[str, Mapping[str, object]] = {
    "BOOL": {"type": "boolean"},
    "BYTES": {"type": "string"},
    "FP16": {"type": "number"},
    "FP32": {"type": "number"},
    "FP64": {"type": "number"},
}
_PLAIN = ("/health", "/metrics", "/v2", "/v2/health/live", "/v2/health/ready")
_BINARY: Mapping[str, object] = {
    "schema": {
        "type": "string",
        "format": "binary",
        "description": "JSON of the length that the header Inference-Header-Content-Length says, then tensors; "
        "with 0 there, the model's one input alone",
    }
}
_ERROR: Mapping[str, object] = {
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
}


def document(config: Config, readiness: Readiness) -> dict[str, object]:
    """The document, with the routes of the models that are loaded."""
    paths: dict[str, object] = {path: {"get": _answers({})} for path in _PLAIN}
    for (name, version), model in readiness.models.items():
        routes = {
            "": {"get": _answers({})},
            "/ready": {"get": _answers({})},
            "/infer": {"post": _inference(model)},
        }
        for end, operation in routes.items():
            paths[f"/v2/models/{name}/versions/{version}{end}"] = operation
            paths[f"/v2/models/{name}{end}"] = operation
    document: dict[str, object] = {
        "openapi": "3.1.0",
        "info": {"title": config.service, "version": __version__},
        "paths": paths,
    }
    if config.api_key:
        document["components"] = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}
        document["security"] = [{"key": []}]
    return document


def _content(schema: Mapping[str, object]) -> dict[str, dict[str, dict[str, object]]]:
    return {"content": {"application/json": {"schema": schema}}}


def _answers(schema: Mapping[str, object]) -> dict[str, object]:
    return {
        "responses": {
            "200": {"description": "The answer", **(_content(schema) if schema else {})},
            "default": {"description": "An error", **_content(_ERROR)},
        }
    }


def _inference(model: Model) -> dict[str, object]:
    request = _object(
        {"inputs": _tensors(model.inputs), "id": {"type": "string"}, "outputs": {"type": "array"}}, ["inputs"]
    )
    answer = _object(
        {
            "model_name": {"const": model.name},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": _tensors(model.outputs),
        },
        ["model_name", "id", "outputs"],
    )
    taken: dict[str, object] = {"application/octet-stream": _BINARY}
    if not any(tensor.datatype in NO_JSON_FORM for tensor in model.inputs):
        said: dict[str, object] = {"schema": request}
        made = example.of(model).request
        if made is not None:
            said["example"] = json.loads(made)
        taken["application/json"] = said
    return {"requestBody": {"required": True, "content": taken}, **_answers(answer)}


def _object(properties: Mapping[str, object], required: Sequence[str]) -> dict[str, object]:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


def _tensors(tensors: Sequence[Tensor]) -> dict[str, object]:
    return {"type": "array", "items": {"oneOf": [_tensor(tensor) for tensor in tensors]}}


def _tensor(tensor: Tensor) -> dict[str, object]:
    extents = [
        {"type": "integer", "minimum": 0} if extent < 0 else {"const": extent} for extent in tensor.shape
    ]
    element = _ELEMENTS.get(tensor.datatype, {"type": "integer"})
    properties: dict[str, object] = {
        "name": {"const": tensor.name},
        "datatype": {"const": tensor.datatype},
        "shape": {
            "type": "array",
            "prefixItems": extents,
            "minItems": len(extents),
            "maxItems": len(extents),
        },
        "data": {"type": "array", "description": f"nested or flat, of {element['type']}s"},
    }
    return _object(properties, ["name", "datatype", "shape", "data"])
