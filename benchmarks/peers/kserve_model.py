"""The same model behind KServe's own Python server."""

from __future__ import annotations

import os

import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class Net(Model):  # type: ignore[misc]  # KServe lies in an environment of its own
    def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )
        self.ready = True
        return True

    async def predict(
        self, payload: InferRequest, headers: dict[str, str] | None = None, response_headers: object = None
    ) -> InferResponse:
        (found,) = self.session.run(["y"], {"x": payload.inputs[0].as_numpy()})
        output = InferOutput("y", [*found.shape], "FP32")
        output.set_data_from_numpy(found, binary_data=False)
        return InferResponse(payload.id or "none", self.name, [output])


if __name__ == "__main__":
    net = Net("net")
    net.load()
    ModelServer(http_port=int(os.environ["PORT"]), enable_grpc=False, access_log_format=None).start([net])
