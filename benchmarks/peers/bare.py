"""What Uvicorn, orjson and onnxruntime allow: an ASGI application that parses, runs and answers, and checks nothing."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import numpy as np
import onnxruntime
import orjson
import uvicorn

Message = MutableMapping[str, Any]

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])


async def answer(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    asked = orjson.loads(body)
    tensor = asked["inputs"][0]
    array = np.asarray(tensor["data"], np.float32).reshape(tensor["shape"])
    (found,) = session.run(["y"], {"x": array})
    told = {
        "model_name": "net",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": found.shape, "data": found.ravel()}],
    }
    text = orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


if __name__ == "__main__":
    uvicorn.run(
        answer,
        port=int(os.environ["PORT"]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
    )
