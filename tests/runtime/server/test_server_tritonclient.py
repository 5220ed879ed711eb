"""The protocol as a client in use speaks it: tritonclient over HTTP, with JSON and with binary tensors."""

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
    assert [word.decode() for word in result.as_numpy("out")] == ["naïve", "日本"]


def test_errors_are_understood(triton: InferenceServerClient) -> None:
    good = json_input("x", "FP32", np.zeros((1, 4), np.float32))
    with pytest.raises(InferenceServerException, match="unknown model 'nobody'"):
        triton.infer("nobody", [good])
    with pytest.raises(InferenceServerException, match="missing input 'b'"):
        triton.infer("pair", [json_input("a", "INT64", np.zeros((1, 2), np.int64))])
    short = InferInput("x", [2, 4], "FP32")
    short._data = None
    short.set_data_from_numpy(np.zeros((2, 4), np.float32))
    short._shape = [1, 4]
    with pytest.raises(InferenceServerException, match="binary_data_size is 32"):
        triton.infer("classifier", [short])


def binary_input(name: str, datatype: str, array: np.ndarray) -> InferInput:
    made = InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array)
    return made


@pytest.mark.parametrize("packing", [None, "gzip", "deflate"])
def test_binary_tensors_are_what_the_client_sends_unasked(
    triton: InferenceServerClient, packing: str | None
) -> None:
    array = np.array([[1, 2, 3, 4], [8, 7, 6, 5]] * 600, np.float32)
    result = triton.infer(
        "classifier",
        [binary_input("x", "FP32", array)],
        "1",
        request_compression_algorithm=packing,
        response_compression_algorithm=packing,
    )
    assert result.as_numpy("total").tolist() == [10.0, 26.0] * 600
    assert result.as_numpy("label").dtype == np.int64
    mixed = [InferRequestedOutput("label", binary_data=False), InferRequestedOutput("total")]
    result = triton.infer("classifier", [binary_input("x", "FP32", array)], "1", mixed)
    assert result.as_numpy("total").tolist() == [10.0, 26.0] * 600
    assert result.as_numpy("label").tolist() == [3, 0] * 600


@pytest.mark.parametrize(
    ("model", "array"),
    [
        ("half", np.array([1.5, np.nan, -np.inf], np.float16)),
        ("double", np.array([1e300, np.nan])),
        ("byte", np.array([-128, 127], np.int8)),
        ("long", np.array([2**64 - 1], np.uint64)),
        ("truth", np.array([True, False])),
        ("text", np.array(["naïve", "", "日本"], dtype=object)),
        ("double", np.empty(0)),
    ],
)
def test_every_datatype_comes_back_as_it_went(
    triton: InferenceServerClient, model: str, array: np.ndarray
) -> None:
    from tritonclient.utils import np_to_triton_dtype

    result = triton.infer(model, [binary_input("in", np_to_triton_dtype(array.dtype), array)])
    found = result.as_numpy("out")
    if model == "text":
        found = np.array([text.decode() for text in found], dtype=object)
    np.testing.assert_array_equal(found, array)
