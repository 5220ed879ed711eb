"""Asks a server through KServe's own clients; run by an interpreter that has them: `URL GRPC_ADDRESS`.

Prints what they gave back, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable
from typing import Any

import numpy as np
from kserve import InferInput, InferRequest, InferResponse
from kserve.inference_client import InferenceGRPCClient, InferenceRESTClient, RESTConfig
from kserve.protocol.infer_type import RequestedOutput


def asked(
    model: str, name: str, datatype: str, values: np.ndarray[Any, Any], *, binary: bool, **more: Any
) -> InferRequest:
    tensor = InferInput(name, [*values.shape], datatype)
    tensor.set_data_from_numpy(values, binary_data=binary)
    return InferRequest(model, [tensor], **more)


def told(response: InferResponse) -> dict[str, Any]:
    outputs = {output.name: _values(output.as_numpy()) for output in response.outputs}
    return {
        "model": response.model_name,
        "version": response.model_version,
        "id": response.id,
        "outputs": outputs,
    }


def _values(array: np.ndarray[Any, Any]) -> list[Any]:
    values: list[Any] = array.tolist()
    return [value.decode() if isinstance(value, bytes) else value for value in values]


async def error(call: Awaitable[Any]) -> str:
    try:
        await call
    except Exception as raised:  # noqa: BLE001 - what it says is what is looked at
        return str(raised)
    raise AssertionError("it was not refused")


async def over_http(url: str) -> dict[str, Any]:
    rows = np.array([[1, 2, 3, 4]], np.float32)
    texts = np.array(["grün", ""], object)
    async with InferenceRESTClient(RESTConfig(protocol="v2", retries=0)) as client:

        async def infer(request: InferRequest) -> dict[str, Any]:
            return told(await client.infer(url, request, request.model_name))

        unknown = asked("none", "x", "FP32", rows, binary=False)
        wrong = asked("classifier", "x", "FP32", rows.reshape(2, 2), binary=True)
        wanted = [RequestedOutput("total", {"binary_data": True})]
        return {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "model_ready": await client.is_model_ready(url, "classifier"),
            "json": await infer(asked("classifier", "x", "FP32", rows, binary=False, request_id="a1")),
            "binary": await infer(
                asked("classifier", "x", "FP32", rows, binary=True, request_outputs=wanted)
            ),
            "texts": await infer(asked("text", "in", "BYTES", texts, binary=False)),
            "binary_texts": await infer(asked("text", "in", "BYTES", texts, binary=True)),
            "half": await infer(
                asked(
                    "half",
                    "in",
                    "FP16",
                    np.array([0.5], np.float16),
                    binary=True,
                    request_outputs=[RequestedOutput("out", {"binary_data": True})],
                )
            ),
            "nothing": await infer(asked("double", "in", "FP64", np.empty(0), binary=True)),
            "unknown": await error(client.infer(url, unknown, "none")),
            "wrong": await error(client.infer(url, wrong, "classifier")),
        }


async def over_grpc(address: str) -> dict[str, Any]:
    rows = np.array([[1, 2, 3, 4]], np.float32)
    async with InferenceGRPCClient(address, retries=0) as client:
        return {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model_ready": await client.is_model_ready("classifier"),
            "typed": told(
                await client.infer(asked("classifier", "x", "FP32", rows, binary=False, request_id="a1"))
            ),
            "raw": told(await client.infer(asked("classifier", "x", "FP32", rows, binary=True))),
            "unknown": await error(client.infer(asked("none", "x", "FP32", rows, binary=True))),
        }


async def main() -> None:
    url, address = sys.argv[1:]
    print(json.dumps({"http": await over_http(url), "grpc": await over_grpc(address)}))


if __name__ == "__main__":
    asyncio.run(main())
