"""The Open Inference Protocol v2 as a client sees it."""

from __future__ import annotations

import json
import os
import pickle
import re
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.runtime.server.served import Server, post, raw, row, tensor


def error_of(answer: httpx.Response, status: int) -> str:
    """The error text of an answer that must be an error, in the protocol's form."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    body = answer.json()
    assert list(body) == ["error"]
    text: str = body["error"]
    return text


def data_of(answer: httpx.Response) -> list[Any]:
    assert answer.status_code == 200, answer.text
    return [output["data"] for output in answer.json()["outputs"]]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/health", {"status": "ok"}),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/pair/ready", {"name": "pair", "ready": True}),
        ("/v2/models/pair/versions/1/ready", {"name": "pair", "ready": True}),
    ],
)
def test_health(shared: Server, path: str, body: dict[str, Any]) -> None:
    answer = shared.client.get(path)
    assert (answer.status_code, answer.json()) == (200, body)


def test_server_metadata(shared: Server) -> None:
    body = shared.client.get("/v2").json()
    assert body["name"] == "serving.test"
    assert body["extensions"] == ["binary_tensor_data"]


def test_model_metadata_says_minus_one_for_free_dimensions(shared: Server) -> None:
    body = shared.client.get("/v2/models/classifier/versions/1").json()
    assert body["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert [output["name"] for output in body["outputs"]] == ["total", "label"]
    assert body["versions"] == ["1", "2"]


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/nobody",
        "/v2/models/nobody/ready",
        "/v2/models/classifier/versions/9",
        "/v2/models/..%2f..%2fetc",
        "/v2/models/%252e%252e",
        "/v2/repository/index",
        "/docs",
        "/page",
        "/page/",
        "/page/page.html",
        "/page/..%2fauth.py",
    ],
)
def test_what_is_not_there_is_404(shared: Server, path: str) -> None:
    error_of(shared.client.get(path), 404)


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/nobody/infer",
        "/v2/models/classifier/versions/9/infer",
        "/v2/models/..%2f..%2fetc%2fpasswd/infer",
        "/v2/models/%252e%252e%252fetc/infer",
        "/v2/models//infer",
    ],
)
def test_inference_of_what_is_not_there_is_404(shared: Server, path: str) -> None:
    error_of(shared.client.post(path, json={"inputs": [row()]}), 404)


def test_management_does_not_exist(shared: Server) -> None:
    for path in ("/v2/repository/models/pair/load", "/v2/repository/index", "/models", "/control"):
        error_of(shared.client.post(path, json={}), 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v2/models/pair/infer"), ("DELETE", "/v2/models/pair"), ("POST", "/health"), ("PUT", "/v2")],
)
def test_wrong_method_is_405(shared: Server, method: str, path: str) -> None:
    answer = shared.client.request(method, path)
    error_of(answer, 405)
    assert answer.headers["allow"] in ("POST", "GET, HEAD", "HEAD, GET")


def test_nested_equals_flat(shared: Server) -> None:
    flat = shared.infer("classifier", tensor("x", "FP32", [2, 4], [1, 2, 3, 4, 5, 6, 7, 8]))
    nested = shared.infer("classifier", tensor("x", "FP32", [2, 4], [[1, 2, 3, 4], [5, 6, 7, 8]]))
    assert data_of(flat) == data_of(nested) == [[1010.0, 1026.0], [3, 3]]


def test_version_in_the_path_else_the_last(shared: Server) -> None:
    first = shared.client.post("/v2/models/classifier/versions/1/infer", json={"inputs": [row()]})
    assert (first.json()["model_version"], data_of(first)[0]) == ("1", [10.0])
    latest = shared.infer("classifier", row())
    assert (latest.json()["model_version"], data_of(latest)[0]) == ("2", [1010.0])


def test_answer_names_shape_and_datatype(shared: Server) -> None:
    body = shared.infer("classifier", row()).json()
    assert body["model_name"] == "classifier"
    assert body["outputs"][1] == {"name": "label", "shape": [1], "datatype": "INT64", "data": [3]}


def test_id_is_echoed_else_made(shared: Server) -> None:
    assert shared.infer("classifier", row(), id="order-7 ü").json()["id"] == "order-7 ü"
    made = shared.infer("classifier", row())
    assert made.json()["id"] == made.headers["x-request-id"]
    uuid.UUID(made.json()["id"])
    error_of(shared.infer("classifier", row(), id=7), 400)


def test_request_id_header_is_kept_if_it_is_harmless(shared: Server) -> None:
    body = json.dumps({"inputs": [row()]}).encode()
    _, headers, _ = raw(shared, post("/v2/models/classifier/infer", body, "X-Request-Id: abc-1"))
    assert headers["x-request-id"] == "abc-1"
    _, headers, _ = raw(shared, post("/v2/models/classifier/infer", body, "X-Request-Id: " + "a" * 500))
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])


def test_content_type_may_be_missing_or_carry_a_charset(shared: Server) -> None:
    body = json.dumps({"inputs": [row()]}).encode()
    for headers in ((), ("Content-Type: application/json; charset=utf-8",)):
        assert raw(shared, post("/v2/models/classifier/infer", body, *headers))[0] == 200


@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: text/plain",
        "Content-Type: application/x-pickle",
        "Content-Type: application/octet-stream",
        "Content-Encoding: br",
    ],
)
def test_other_contents_are_415(shared: Server, header: str) -> None:
    status, headers, body = raw(shared, post("/v2/models/classifier/infer", b"\x80\x04N.", header))
    assert (status, headers["content-type"]) == (415, "application/json")
    assert json.loads(body)["error"]


class Trap:
    """What a pickle of it makes where it is loaded."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("kind", ["application/x-pickle", "application/json", "application/octet-stream"])
def test_a_pickle_is_never_loaded(shared: Server, tmp_path: Path, kind: str) -> None:
    body = pickle.dumps(Trap(str(tmp_path / "sprung")))
    for length in ([], ["Inference-Header-Content-Length: 0"]):
        status, _, text = raw(
            shared, post("/v2/models/classifier/infer", body, f"Content-Type: {kind}", *length)
        )
        assert status in (400, 415)
        assert json.loads(text)["error"]
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (tensor("x", "FP32", [1, 4], [1, 2, 3]), "expected 4 elements for shape [1, 4], got 3"),
        (tensor("x", "FP32", [2, 4], [1, 2, 3, 4]), "expected 8 elements"),
        (tensor("x", "FP32", [4], [1, 2, 3, 4]), "1 dimensions"),
        (tensor("x", "FP32", [1, 3], [1, 2, 3]), "[-1, 4]"),
        (tensor("x", "FP32", [-1, 4], [1, 2, 3, 4]), "whole numbers"),
        (tensor("x", "FP32", [1.0, 4], [1, 2, 3, 4]), "whole numbers"),  # type: ignore[list-item]
        (tensor("x", "FP32", [True, 4], [1, 2, 3, 4]), "whole numbers"),
        (tensor("x", "FP32", [2**40, 4], [1, 2, 3, 4]), "more than 10000 elements"),
        (tensor("x", "FP32", [10**9, 4], [1]), "more than 10000 elements"),
        (tensor("x", "FP32", [2**62, 4], []), "more than 10000 elements"),
        (tensor("x", "FP64", [1, 4], [1, 2, 3, 4]), "has datatype 'FP64', the model takes FP32"),
        (tensor("x", "FP33", [1, 4], [1, 2, 3, 4]), "unknown datatype"),
        (tensor("x", "FP32", [1, 4], [1, 2, 3, "4"]), "'4' is not a FP32"),
        (tensor("x", "FP32", [1, 4], [1, 2, 3, True]), "true is not a FP32"),
        (tensor("x", "FP32", [1, 4], [1, 2, 3, None]), "null is not a FP32"),
        (tensor("x", "FP32", [1, 4], [1, 2, 3, 1e300]), "cannot"),
        (tensor("x", "FP32", [1, 4], [[1, 2], [3, 4]]), "does not have shape"),
        (tensor("x", "FP32", [1, 4], [[1, 2, 3, [4]]]), "is not a FP32"),
        (tensor("x", "FP32", [1, 4], {"0": 1}), "must be a list"),
        (tensor("x", "FP32", [1, 4], None), "has no data"),
        ({"name": "x", "datatype": "FP32", "shape": [1, 4]}, "has no data"),
        ({"name": "x", "datatype": "FP32", "data": [1]}, "shape"),
        ({"name": "x", "shape": [1, 4], "data": [1]}, "datatype"),
        ({"datatype": "FP32", "shape": [1, 4], "data": [1]}, "no name"),
        (tensor("x", "FP32", [1, 4], [1, 2, 3, 4], parameters={"a": {"b": 1}}), "parameter 'a'"),
        (tensor("x", "FP32", [1, 4], [1, 2, 3, 4], parameters=[]), "must be an object"),
    ],
)
def test_wrong_inputs_are_400_and_say_why(shared: Server, entry: dict[str, Any], words: str) -> None:
    assert words in error_of(shared.infer("classifier", entry), 400)


def test_missing_extra_and_duplicate_inputs(shared: Server) -> None:
    a, b, c = (tensor(name, "INT64", [1, 2], [1, 2]) for name in "abc")
    assert data_of(shared.infer("pair", b, a)) == [[2, 4]]
    assert "missing input 'b'" in error_of(shared.infer("pair", a), 400)
    assert "unknown input 'c'" in error_of(shared.infer("pair", a, b, c), 400)
    assert "'a' is given twice" in error_of(shared.infer("pair", a, b, a), 400)
    assert "must not be empty" in error_of(shared.infer("pair"), 400)
    missing = shared.client.post("/v2/models/pair/infer", json={})
    assert "inputs are missing" in error_of(missing, 400)
    error_of(shared.client.post("/v2/models/pair/infer", json={"inputs": {"a": 1}}), 400)


def test_output_subset_and_order(shared: Server) -> None:
    wanted = [{"name": "label"}, {"name": "total"}]
    assert data_of(shared.infer("classifier", row(), outputs=wanted)) == [[3], [1010.0]]
    assert data_of(shared.infer("classifier", row(), outputs=wanted[:1])) == [[3]]
    assert data_of(shared.infer("classifier", row(), outputs=[])) == [[1010.0], [3]]
    assert "unknown output 'x'" in error_of(shared.infer("classifier", row(), outputs=[{"name": "x"}]), 400)
    twice = shared.infer("classifier", row(), outputs=wanted + wanted[:1])
    assert "requested twice" in error_of(twice, 400)


def test_text_is_utf8(shared: Server) -> None:
    words = ["naïve", "日本", "", "a:b\n\u2028", '"']
    assert data_of(shared.infer("text", tensor("in", "BYTES", [5], words))) == [words]
    assert "is not a BYTES" in error_of(shared.infer("text", tensor("in", "BYTES", [1], [1])), 400)


@pytest.mark.parametrize(
    ("name", "datatype", "good", "bad"),
    [
        ("truth", "BOOL", [True, False], [1]),
        ("byte", "INT8", [-128, 127], [128]),
        ("byte", "INT8", [0], [1.0]),
        ("long", "UINT64", [2**64 - 1, 0], [-1]),
        ("long", "UINT64", [0], [2**64]),
        ("double", "FP64", [1e300, 0.1], ["0.1"]),
    ],
)
def test_datatypes_are_exact(
    shared: Server, name: str, datatype: str, good: list[Any], bad: list[Any]
) -> None:
    assert data_of(shared.infer(name, tensor("in", datatype, [len(good)], good))) == [good]
    error_of(shared.infer(name, tensor("in", datatype, [1], bad)), 400)


def test_an_empty_batch(shared: Server) -> None:
    assert data_of(shared.infer("double", tensor("in", "FP64", [0], []))) == [[]]


def test_half_precision_has_no_json_form(shared: Server) -> None:
    assert "no JSON form" in error_of(shared.infer("half", tensor("in", "FP16", [1], [1])), 400)
    assert "no JSON form" in error_of(shared.infer("halved", tensor("in", "FP32", [1], [1])), 400)


def test_parameters_may_be_scalars_and_unknown_ones_are_ignored(shared: Server) -> None:
    parameters = {"binary_data_output": False, "a": "b", "c": 1.5}
    answer = shared.infer("classifier", row(), parameters=parameters, model_name="classifier")
    assert data_of(answer)[1] == [3]
    wrong = shared.infer("classifier", row(), parameters={"binary_data_output": "yes"})
    assert "must be true or false" in error_of(wrong, 400)
    assert "parameter 'a'" in error_of(shared.infer("classifier", row(), parameters={"a": None}), 400)


def test_an_output_that_json_cannot_carry_is_422(shared: Server) -> None:
    assert data_of(shared.infer("reciprocal", tensor("in", "FP32", [1], [4]))) == [[0.25]]
    assert "output 'out'" in error_of(shared.infer("reciprocal", tensor("in", "FP32", [1], [0])), 422)


def test_input_that_the_model_cannot_run_on_is_400(shared: Server) -> None:
    assert data_of(shared.infer("lookup", tensor("index", "INT64", [2], [2, 0]))) == [[2.0, 0.0]]
    error = error_of(shared.infer("lookup", tensor("index", "INT64", [1], [99])), 400)
    assert "cannot run on this input" in error


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"inputs"',
        b'{"inputs": NaN}',
        b'{"inputs": [{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,Infinity]}]}',
        b"\xff\xfe{\x00}\x00",
        b"[" * 100_000,
        b'{"inputs":' * 2000,
        b'{"inputs": [], "inputs": []}',
        b"\x80\x04\x95cposix\nsystem\n.",
        b'{"a": 1' + b"0" * 10_000 + b"}",
    ],
)
def test_bodies_that_are_no_requests_are_400(shared: Server, body: bytes) -> None:
    status, headers, text = raw(shared, post("/v2/models/classifier/infer", body))
    assert (status, headers["content-type"]) == (400, "application/json")
    assert json.loads(text)["error"]


def test_duplicate_members_are_refused(shared: Server) -> None:
    good = json.dumps({"inputs": [row()]})
    for before, after in (
        ('"shape"', '"shape": [9], "shape"'),
        ('"inputs"', '"id": "a", "id": "b", "inputs"'),
    ):
        body = good.replace(before, after, 1).encode()
        status, _, text = raw(shared, post("/v2/models/classifier/infer", body))
        assert status == 400
        assert b"given twice" in text


def test_openapi_holds_the_signature(shared: Server) -> None:
    document = shared.client.get("/openapi.json").json()
    operation = document["paths"]["/v2/models/classifier/infer"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    (taken,) = schema["properties"]["inputs"]["items"]["oneOf"]
    assert taken["properties"]["name"] == {"const": "x"}
    assert taken["properties"]["shape"]["prefixItems"] == [{"type": "integer", "minimum": 0}, {"const": 4}]


def test_metrics_have_an_edge_at_the_slo_and_known_labels_only(shared: Server) -> None:
    shared.infer("classifier", row())
    shared.client.post("/v2/models/made-up-by-a-client/infer", json={})
    page = shared.client.get("/metrics").text
    assert (
        'bedplate_request_duration_seconds_bucket{arm="",le="0.123",model="classifier",version="2"}' in page
    )
    assert 'bedplate_requests_total{arm="",code="200",model="classifier",outcome="ok",version="2"}' in page
    assert (
        'bedplate_requests_total{arm="",code="404",model="unknown",outcome="refused",version="unknown"}'
        in page
    )
    assert "made-up" not in page
    assert "bedplate_in_flight 0.0" in page


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/v2/models/none", "unknown model 'none'"),
        ("/v2/models/none/ready", "unknown model 'none'"),
        ("/v2/models/classifier/versions/9", "unknown version '9' of model 'classifier'"),
        ("/v2/modells", "there is nothing at this path"),
    ],
)
def test_what_is_not_there_is_named(shared: Server, path: str, text: str) -> None:
    assert error_of(shared.client.get(path), 404) == text
