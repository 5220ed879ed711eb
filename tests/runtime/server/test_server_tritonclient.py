"""The protocol as a client in use speaks it: tritonclient over HTTP, with JSON tensors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from tests.runtime.server.served import Server


@pytest.fixture
def triton(shared: Server) -> Iterator[InferenceServerClient]:
    client = InferenceServerClient(f"127.0.0.1:{shared.tree['port']}")
    yield client
    client.close()


def json_input(name: str, datatype: str, array: np.ndarray) -> InferInput:
    made = InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=False)
    return made


def test_health_and_metadata(triton: InferenceServerClient) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("classifier")
    assert triton.is_model_ready("classifier", "1")
    assert not triton.is_model_ready("nobody")
    assert triton.get_server_metadata()["name"] == "serving.test"
    assert triton.get_model_metadata("classifier")["inputs"][0]["shape"] == [-1, 4]


def test_inference(triton: InferenceServerClient) -> None:
    array = np.array([[1, 2, 3, 4], [8, 7, 6, 5]], np.float32)
    inputs = [json_input("x", "FP32", array)]
    for outputs in (None, [InferRequestedOutput(name, binary_data=False) for name in ("label", "total")]):
        result = triton.infer("classifier", inputs, "1", outputs, request_id="r-1")
        assert result.as_numpy("total").tolist() == [10.0, 26.0]
        assert result.as_numpy("label").tolist() == [3, 0]
        assert result.get_response()["id"] == "r-1"


def test_text(triton: InferenceServerClient) -> None:
    words = np.array(["naïve", "日本"], dtype=object)
    result = triton.infer("text", [json_input("in", "BYTES", words)])
    assert [str(word) for word in result.as_numpy("out")] == ["naïve", "日本"]


def test_errors_are_understood(triton: InferenceServerClient) -> None:
    good = json_input("x", "FP32", np.zeros((1, 4), np.float32))
    with pytest.raises(InferenceServerException, match="unknown model 'nobody'"):
        triton.infer("nobody", [good])
    with pytest.raises(InferenceServerException, match="missing input 'b'"):
        triton.infer("pair", [json_input("a", "INT64", np.zeros((1, 2), np.int64))])
    binary = InferInput("x", [1, 4], "FP32")
    binary.set_data_from_numpy(np.zeros((1, 4), np.float32), binary_data=True)
    with pytest.raises(InferenceServerException, match="binary tensor extension"):
        triton.infer("classifier", [binary])
