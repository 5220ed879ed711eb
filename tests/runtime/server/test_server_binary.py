"""The binary tensor extension and compression, byte by byte, on a real server."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from typing import Any

import httpx
import numpy as np
import pytest

from tests.runtime.server.served import Server, post, raw, row, tensor

F32 = np.array([[1, 2, 3, 4], [8, 7, 6, 5]], "<f4")
HEADER = "Inference-Header-Content-Length"


def bodied(tree: dict[str, Any], *blobs: bytes) -> tuple[bytes, dict[str, str]]:
    text = json.dumps(tree).encode()
    return b"".join((text, *blobs)), {HEADER: str(len(text)), "Content-Type": "application/octet-stream"}


def binary(name: str, datatype: str, shape: list[int], size: int, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "datatype": datatype,
        "shape": shape,
        "parameters": {"binary_data_size": size},
        **more,
    }


def ask(server: Server, model: str, tree: dict[str, Any], *blobs: bytes) -> httpx.Response:
    body, headers = bodied(tree, *blobs)
    return server.client.post(f"/v2/models/{model}/infer", content=body, headers=headers)


def split(answer: httpx.Response) -> tuple[dict[str, Any], bytes]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    size = int(answer.headers[HEADER])
    return json.loads(answer.content[:size]), answer.content[size:]


def refused(answer: httpx.Response, status: int = 400) -> str:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    text: str = answer.json()["error"]
    return text


def test_server_metadata_lists_the_extension(shared: Server) -> None:
    assert shared.client.get("/v2").json()["extensions"] == ["binary_tensor_data"]


def test_binary_in_and_json_out(shared: Server) -> None:
    tree = {"inputs": [binary("x", "FP32", [2, 4], 32)]}
    answer = ask(shared, "classifier/versions/1", tree, F32.tobytes())
    assert answer.headers["content-type"] == "application/json"
    assert HEADER not in answer.headers
    assert answer.json()["outputs"][0]["data"] == [10.0, 26.0]


def test_json_in_and_binary_out(shared: Server) -> None:
    tree = {"inputs": [row()], "parameters": {"binary_data_output": True}}
    said, rest = split(shared.client.post("/v2/models/classifier/versions/1/infer", json=tree))
    assert [o["parameters"] for o in said["outputs"]] == [{"binary_data_size": 4}, {"binary_data_size": 8}]
    assert all("data" not in output for output in said["outputs"])
    assert struct.unpack("<fq", rest) == (10.0, 3)


def test_an_output_s_own_word_comes_before_the_request_s(shared: Server) -> None:
    for whole in (True, False):
        outputs = [
            {"name": "label", "parameters": {"binary_data": not whole}},
            {"name": "total"},
        ]
        tree = {"inputs": [row()], "outputs": outputs, "parameters": {"binary_data_output": whole}}
        said, rest = split(shared.client.post("/v2/models/classifier/versions/1/infer", json=tree))
        label, total = said["outputs"]
        assert ("data" in label, "data" in total) == (whole, not whole)
        assert rest == (struct.pack("<f", 10.0) if whole else struct.pack("<q", 3))


def test_tensors_of_both_kinds_in_one_request(shared: Server) -> None:
    a, b = np.array([[1, 2]], "<i8"), [[10, 20]]
    for inputs in (
        [binary("a", "INT64", [1, 2], 16), tensor("b", "INT64", [1, 2], b)],
        [tensor("b", "INT64", [1, 2], b), binary("a", "INT64", [1, 2], 16)],
    ):
        answer = ask(shared, "pair", {"inputs": inputs}, a.tobytes())
        assert answer.json()["outputs"][0]["data"] == [11, 22]
    swapped = [binary("b", "INT64", [1, 2], 16), binary("a", "INT64", [1, 2], 16)]
    answer = ask(shared, "pair", {"inputs": swapped}, a.tobytes(), np.array([[5, 5]], "<i8").tobytes())
    assert answer.json()["outputs"][0]["data"] == [6, 7]


def test_half_precision_goes_only_as_bytes(shared: Server) -> None:
    half = np.array([1.5, -2.0, np.nan], "<f2")
    tree = {"inputs": [binary("in", "FP16", [3], 6)], "parameters": {"binary_data_output": True}}
    _, rest = split(ask(shared, "half", tree, half.tobytes()))
    assert rest == half.tobytes()
    assert "no JSON form" in refused(ask(shared, "half", {"inputs": tree["inputs"]}, half.tobytes()))
    assert "no JSON form" in refused(shared.infer("half", tensor("in", "FP16", [1], [1.5])))


def test_text_and_truths(shared: Server) -> None:
    words = ["naïve", "", "日本"]
    blob = b"".join(struct.pack("<I", len(w.encode())) + w.encode() for w in words)
    tree = {
        "inputs": [binary("in", "BYTES", [3], len(blob))],
        "parameters": {"binary_data_output": True},
    }
    assert split(ask(shared, "text", tree, blob))[1] == blob
    tree = {"inputs": [binary("in", "BOOL", [3], 3)], "parameters": {"binary_data_output": True}}
    assert split(ask(shared, "truth", tree, b"\1\0\1"))[1] == b"\1\0\1"
    assert "neither 0 nor 1" in refused(ask(shared, "truth", tree, b"\1\0\2"))


def test_infinity_goes_as_bytes_and_not_as_json(shared: Server) -> None:
    zero = {"inputs": [tensor("in", "FP32", [1], [0.0])]}
    assert "as binary data" in refused(shared.client.post("/v2/models/reciprocal/infer", json=zero), 422)
    binary_out = {**zero, "parameters": {"binary_data_output": True}}
    answer = shared.client.post("/v2/models/reciprocal/infer", json=binary_out)
    assert split(answer)[1] == struct.pack("<f", float("inf"))


def test_no_rows_at_all(shared: Server) -> None:
    tree = {
        "inputs": [binary("x", "FP32", [0, 4], 0, data=None)],
        "parameters": {"binary_data_output": True},
    }
    said, rest = split(ask(shared, "classifier", tree))
    assert (said["outputs"][0]["shape"], rest) == ([0], b"")


def test_a_raw_body_is_the_one_input(shared: Server) -> None:
    headers = {HEADER: "0", "Content-Type": "application/octet-stream"}
    answer = shared.client.post(
        "/v2/models/classifier/versions/1/infer", content=F32.tobytes(), headers=headers
    )
    said, rest = split(answer)
    assert said["outputs"][0]["shape"] == [2]
    assert struct.unpack("<ffqq", rest) == (10.0, 26.0, 3, 0)
    text = shared.client.post("/v2/models/text/infer", content="naïve".encode(), headers=headers)
    assert split(text)[1] == struct.pack("<I", 6) + "naïve".encode()
    ragged = shared.client.post("/v2/models/classifier/infer", content=b"\0" * 17, headers=headers)
    assert "no multiple of the 16" in refused(ragged)
    two = shared.client.post("/v2/models/pair/infer", content=b"\0" * 16, headers=headers)
    assert "a model of one input" in refused(two)


@pytest.mark.parametrize(
    ("entry", "blob", "said"),
    [
        (binary("x", "FP32", [1, 4], 16), b"\0" * 12, "16 bytes are announced, 12 are there"),
        (binary("x", "FP32", [1, 4], 12), b"\0" * 12, "4 elements of FP32 are 16 bytes"),
        (binary("x", "FP32", [1, 4], 16), b"\0" * 20, "4 bytes are left after all inputs"),
        (binary("x", "FP32", [2, 4], 16), b"\0" * 16, "8 elements of FP32 are 32 bytes"),
        (binary("x", "FP32", [1, 4], -1), b"", "a whole number from 0"),
        (binary("x", "FP32", [1, 4], 16.0), b"\0" * 16, "a whole number from 0"),  # type: ignore[arg-type]
        (binary("x", "FP32", [1, 4], True), b"\0", "a whole number from 0"),
        (binary("x", "FP32", [1, 4], 2**50), b"", "are announced, 0 are there"),
        (binary("x", "FP32", [2**40, 4], 16), b"\0" * 16, "more than 10000 elements"),
        (binary("x", "FP32", [1, 4], 16, data=[1, 2, 3, 4]), b"\0" * 16, "both data and binary_data_size"),
        (binary("x", "FP64", [1, 4], 32), b"\0" * 32, "the model takes FP32"),
        (row(), b"\0" * 16, "16 bytes are left after all inputs"),
    ],
)
def test_sizes_that_lie_are_refused(shared: Server, entry: dict[str, Any], blob: bytes, said: str) -> None:
    assert said in refused(ask(shared, "classifier", {"inputs": [entry]}, blob))


@pytest.mark.parametrize(
    ("shape", "blob", "said"),
    [
        ([1], b"\3\0\0\0ab", "is cut off"),
        ([2], b"\1\0\0\0a", "do not fit into 5 bytes"),
        ([2], b"\1\0\0\0a\0\0\0", "expected 2 elements of BYTES, got 1"),
        ([1], b"\1\0\0\0ab", "1 bytes are left"),
        ([9999], b"\1\0\0\0a", "do not fit"),
        ([1], b"\2\0\0\0\xff\xfe", "not UTF-8"),
        ([1], b"\xff\xff\xff\xffa", "is cut off"),
    ],
)
def test_texts_that_lie_are_refused(shared: Server, shape: list[int], blob: bytes, said: str) -> None:
    assert said in refused(ask(shared, "text", {"inputs": [binary("in", "BYTES", shape, len(blob))]}, blob))


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "", "9" * 40, "0x10"])
def test_a_length_that_is_none_is_refused(shared: Server, length: str) -> None:
    status, headers, body = raw(shared, post("/v2/models/classifier/infer", b"{}", f"{HEADER}: {length}"))
    assert (status, headers["content-type"]) == (400, "application/json"), body


def test_more_json_than_there_is_body(shared: Server) -> None:
    body, headers = bodied({"inputs": [row()]})
    answer = shared.client.post(
        "/v2/models/classifier/infer", content=body, headers={**headers, HEADER: str(len(body) + 1)}
    )
    assert "the body is" in refused(answer)


def packed(encoding: str, body: bytes) -> bytes:
    return gzip.compress(body) if encoding == "gzip" else zlib.compress(body)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_request(shared: Server, encoding: str) -> None:
    body, headers = bodied({"inputs": [binary("x", "FP32", [2, 4], 32)]}, F32.tobytes())
    path = "/v2/models/classifier/versions/1/infer"
    good = packed(encoding, body)
    headers = {**headers, "Content-Encoding": encoding}
    assert shared.client.post(path, content=good, headers=headers).json()["outputs"][0]["data"] == [10, 26]
    for wrong in (good[:-6], good + b"more", b"plain", b""):
        answer = shared.client.post(path, content=wrong, headers=headers)
        assert encoding in refused(answer)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_refused_by_what_comes_out_of_it(shared: Server, encoding: str) -> None:
    bomb = packed(encoding, b" " * (50 * 2**20))
    assert len(bomb) < shared.tree["limits"]["body_bytes"]
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    answer = shared.client.post("/v2/models/classifier/infer", content=bomb, headers=headers)
    assert str(shared.tree["limits"]["body_bytes"]) in refused(answer, 413)


def test_other_compressions_are_refused_by_name(shared: Server) -> None:
    for encoding in ("br", "gzip, gzip", "x"):
        answer = shared.client.post(
            "/v2/models/classifier/infer", json={"inputs": [row()]}, headers={"Content-Encoding": encoding}
        )
        assert "gzip or deflate" in refused(answer, 415)


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("br, gzip;q=0.5, deflate;q=0.8", "deflate"),
        ("gzip;q=0", None),
        ("identity", None),
        ("gzip;q=nonsense", None),
    ],
)
def test_a_long_answer_is_compressed_where_the_client_takes_it(
    shared: Server, accepted: str, encoding: str | None
) -> None:
    numbers = [float(n) for n in range(4000)]
    tree = {"inputs": [tensor("in", "FP64", [4000], numbers)]}
    long = shared.client.post("/v2/models/double/infer", json=tree, headers={"Accept-Encoding": accepted})
    assert long.headers.get("content-encoding") == encoding
    assert long.json()["outputs"][0]["data"] == numbers
    tree["inputs"][0].update(shape=[1], data=[1.0])
    short = shared.client.post("/v2/models/double/infer", json=tree, headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in short.headers
