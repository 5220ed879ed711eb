"""The protocol over gRPC, asked by tritonclient: the same rules and the same answers as over HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from tritonclient.grpc import (
    InferenceServerClient,
    InferenceServerException,
    InferInput,
    InferRequestedOutput,
    service_pb2,
    service_pb2_grpc,
)

from bedplate.runtime.server import auth
from bedplate.runtime.server.rpc import messages
from tests.ports import free_port
from tests.runtime.server.served import WITHIN_S, Server, entry, row, until
from tests.runtime.server.served_models import Written
from tests.runtime.server.test_server_tls import certificate

Serve = Callable[..., Server]
Values = dict[str, np.ndarray[Any, Any]]


def client(server: Server) -> InferenceServerClient:
    return InferenceServerClient(f"127.0.0.1:{server.tree['grpc_port']}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, zoo: Mapping[str, Written]) -> Iterator[Server]:
    from tests.runtime.server.served import config

    entries = [entry(name, written) for name, written in zoo.items() if name not in ("classifier2", "slow")]
    entries.append(entry("classifier", zoo["classifier2"], version="2"))
    made = Server(tmp_path_factory.mktemp("grpc"), config(entries, grpc_port=free_port()))
    try:
        yield made.started()
        assert made.status()["restarts"] == 0, "a call ended a worker"
    finally:
        made.stop()


def given(name: str, datatype: str, values: np.ndarray[Any, Any]) -> InferInput:
    made = InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values)
    return made


def stub(server: Server) -> Any:
    return service_pb2_grpc.GRPCInferenceServiceStub(
        grpc.insecure_channel(f"127.0.0.1:{server.tree['grpc_port']}")
    )


def test_the_messages_are_the_published_ones() -> None:
    """Of Triton's, which has more messages and fields, ours are a part: names, numbers, types, labels."""
    for name in messages.TABLE:
        ours: Descriptor = messages.message(name).DESCRIPTOR  # type: ignore[attr-defined]
        theirs = service_pb2.DESCRIPTOR.message_types_by_name[name.partition(".")[0]]
        if "." in name:
            theirs = theirs.nested_types_by_name[name.partition(".")[2]]
        published = {field.name: _shape(field) for field in theirs.fields}
        for field in ours.fields:
            assert published[field.name] == _shape(field), f"{name}.{field.name}"


def _shape(field: FieldDescriptor) -> tuple[object, ...]:
    kind = field.message_type.full_name if field.message_type else None
    one_of = field.containing_oneof.name if field.containing_oneof else None
    return field.number, field.type, field.is_repeated, kind, one_of


def test_health_and_metadata(server: Server) -> None:
    asked = client(server)
    assert asked.is_server_live()
    assert asked.is_server_ready()
    assert asked.is_model_ready("classifier")
    assert asked.is_model_ready("classifier", "1")
    told = asked.get_server_metadata(as_json=True)
    assert (told["name"], told["extensions"]) == ("serving.test", ["binary_tensor_data"])
    model = asked.get_model_metadata("classifier", as_json=True)
    assert model == server.client.get("/v2/models/classifier").json() | {
        part: [{**tensor, "shape": [*map(str, tensor["shape"])]} for tensor in model_part]
        for part, model_part in (
            (part, server.client.get("/v2/models/classifier").json()[part]) for part in ("inputs", "outputs")
        )
    }


@pytest.mark.parametrize(
    ("model", "datatype", "values"),
    [
        ("double", "FP64", np.array([1.5, np.nan, np.inf])),
        ("truth", "BOOL", np.array([True, False])),
        ("byte", "INT8", np.array([-128, 127], np.int8)),
        ("long", "UINT64", np.array([2**64 - 1, 0], np.uint64)),
        ("half", "FP16", np.array([0.5, -2.0], np.float16)),
        ("text", "BYTES", np.array(["", "grün", "a\nb"], object)),
        ("double", "FP64", np.empty(0)),
    ],
)
def test_all_datatypes_go_there_and_back(
    server: Server, model: str, datatype: str, values: np.ndarray[Any, Any]
) -> None:
    found = client(server).infer(model, [given("in", datatype, values)]).as_numpy("out")
    if datatype == "BYTES":
        found = np.array([text.decode() for text in found], object)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


def test_ids_versions_and_outputs_are_as_asked_for(server: Server) -> None:
    values = np.array([[1, 2, 3, 4]], np.float32)
    wanted = [InferRequestedOutput("label"), InferRequestedOutput("total")]
    asked = client(server)
    found = asked.infer("classifier", [given("x", "FP32", values)], "1", outputs=wanted, request_id="a1")
    response = found.get_response()
    assert (response.id, response.model_name, response.model_version) == ("a1", "classifier", "1")
    assert [output.name for output in response.outputs] == ["label", "total"]
    assert found.as_numpy("total").tolist() == [10.0]
    assert asked.infer("classifier", [given("x", "FP32", values)]).as_numpy("total").tolist() == [1010.0]


@pytest.mark.parametrize(
    ("model", "datatype", "contents", "expected"),
    [
        ("byte", "INT8", {"int_contents": [1, -2]}, b"\x01\xfe"),
        ("double", "FP64", {"fp64_contents": [0.5, 2]}, np.array([0.5, 2]).tobytes()),
        ("truth", "BOOL", {"bool_contents": [True, False]}, b"\x01\x00"),
        ("long", "UINT64", {"uint64_contents": [7, 8]}, np.array([7, 8], np.uint64).tobytes()),
        ("text", "BYTES", {"bytes_contents": [b"a", b"bc"]}, b"\x01\0\0\0a\x02\0\0\0bc"),
    ],
)
def test_typed_contents(
    server: Server, model: str, datatype: str, contents: Mapping[str, Sequence[object]], expected: bytes
) -> None:
    found = stub(server).ModelInfer(_request(model, datatype, [2], contents))
    assert [*found.raw_output_contents] == [expected]


def _request(
    model: str, datatype: str, shape: Sequence[int], contents: Mapping[str, Sequence[object]], **more: Any
) -> Any:
    tensor = service_pb2.ModelInferRequest.InferInputTensor(
        name="in", datatype=datatype, shape=shape, contents=service_pb2.InferTensorContents(**contents)
    )
    return service_pb2.ModelInferRequest(model_name=model, inputs=[tensor], **more)


@pytest.mark.parametrize(
    ("request_", "code", "says"),
    [
        (
            _request("byte", "INT8", [1], {"int_contents": [300]}),
            "INVALID_ARGUMENT",
            "a number that INT8 cannot",
        ),
        (_request("byte", "INT8", [2], {"int_contents": [3]}), "INVALID_ARGUMENT", "2 elements of INT8"),
        (_request("byte", "FP32", [1], {"fp32_contents": [3]}), "INVALID_ARGUMENT", "the model takes INT8"),
        (_request("byte", "INT8", [1], {"fp32_contents": [3]}), "INVALID_ARGUMENT", "int_contents, not fp32"),
        (
            _request("half", "FP16", [1], {"fp32_contents": [3]}),
            "INVALID_ARGUMENT",
            "only raw_input_contents",
        ),
        (
            _request("byte", "INT8", [1], {"int_contents": [3]}, raw_input_contents=[b"\1"]),
            "INVALID_ARGUMENT",
            "exclude each other",
        ),
        (
            _request("byte", "INT8", [1], {}, raw_input_contents=[b"\1", b"\2"]),
            "INVALID_ARGUMENT",
            "1 inputs and 2",
        ),
        (_request("byte", "INT8", [-1], {"int_contents": []}), "INVALID_ARGUMENT", "whole numbers from 0"),
        (_request("none", "INT8", [1], {"int_contents": [3]}), "NOT_FOUND", "unknown model 'none'"),
        (
            _request("byte", "INT8", [1], {"int_contents": [3]}, model_version="9"),
            "NOT_FOUND",
            "unknown version",
        ),
        (
            _request(
                "byte", "INT8", [1], {"int_contents": [3]}, parameters={"a": service_pb2.InferParameter()}
            ),
            "INVALID_ARGUMENT",
            "parameter 'a' has no value",
        ),
        (
            _request("lookup", "INT64", [1], {"int64_contents": [99]}),
            "INVALID_ARGUMENT",
            "unknown input 'in'",
        ),
    ],
)
def test_what_is_refused_says_why(server: Server, request_: Any, code: str, says: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub(server).ModelInfer(request_)
    assert caught.value.code().name == code
    assert says in str(caught.value.details())


def test_a_message_has_the_limit_of_a_body(server: Server) -> None:
    too_long = given("in", "FP64", np.zeros(server.tree["limits"]["body_bytes"] // 8 + 1))
    with pytest.raises(InferenceServerException) as caught:
        client(server).infer("double", [too_long])
    assert caught.value.status() == "StatusCode.RESOURCE_EXHAUSTED"
    assert client(server).is_server_ready()


def test_calls_are_counted_and_named(server: Server) -> None:
    call = stub(server).ModelInfer.with_call(
        _request("byte", "INT8", [1], {"int_contents": [3]}), metadata=(("x-request-id", "mine"),)
    )
    assert dict(call[1].trailing_metadata())["x-request-id"] == "mine"
    counted = [
        line
        for line in server.client.get("/metrics").text.splitlines()
        if line.startswith("bedplate_requests_total")
    ]
    assert any(
        'model="byte"' in line and 'outcome="ok"' in line and not line.endswith(" 0.0") for line in counted
    )
    assert any('model="byte"' in line and 'outcome="refused"' in line for line in counted)


def test_a_key_is_asked_for(serve: Serve) -> None:
    key = {"salt": "00", "sha256": auth.digest("00", "secret")}
    server = serve("classifier", grpc_port=free_port(), auth={"api_key": key}).started()
    asked = client(server)
    assert asked.is_server_ready()
    row = given("x", "FP32", np.ones((1, 4), np.float32))
    for call in (lambda: asked.infer("classifier", [row]), asked.get_server_metadata):
        with pytest.raises(InferenceServerException) as caught:
            call()
        assert caught.value.status() == "StatusCode.UNAUTHENTICATED"
    for headers in ({"authorization": "Bearer secret"}, {"x-api-key": "secret"}):
        assert asked.infer("classifier", [row], headers=headers).as_numpy("total").tolist() == [4.0]


def test_a_deadline_and_a_client_that_leaves_give_their_places_back(serve: Serve) -> None:
    server = serve(
        "slow",
        grpc_port=free_port(),
        timeouts={"ready_s": 30, "drain_s": 4, "stop_s": 10, "request_s": 0.05},
    ).started()
    one = given("x", "FP32", np.ones(1, np.float32))
    with pytest.raises(InferenceServerException) as caught:
        client(server).infer("slow", [one])
    assert caught.value.status() == "StatusCode.DEADLINE_EXCEEDED"
    with pytest.raises(InferenceServerException):
        client(server).infer("slow", [one], client_timeout=0.01)
    until(lambda: "bedplate_in_flight 0.0" in server.client.get("/metrics").text)


def test_a_log_has_the_calls_too(serve: Serve, tmp_path: Path) -> None:
    import pyarrow.dataset as ds

    told = {
        "sample": 1.0,
        "spool": str(tmp_path / "spool"),
        "to": str(tmp_path / "to"),
        "retention_s": 3600,
        "backlog_bytes": 2**24,
        "record_bytes": 2**16,
        "roll_s": 3600,
    }
    server = serve("classifier", grpc_port=free_port(), prediction_log=told).started()
    client(server).infer("classifier", [given("x", "FP32", np.ones((1, 4), np.float32))], request_id="logged")
    server.stop()
    (row,) = ds.dataset(tmp_path / "to", format="parquet").to_table().to_pylist()
    assert (row["client_id"], row["inputs"]["x"]["data"]) == ("logged", [1.0] * 4)


class Asking:
    """Clients that go on asking until told to stop, and what went wrong."""

    def __init__(self, server: Server, count: int = 4) -> None:
        self.wrong: list[str] = []
        self.right = 0
        self._stop = threading.Event()
        self._server = server
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        asked = client(self._server)
        row = given("x", "FP32", np.ones((1, 4), np.float32))
        while not self._stop.is_set():
            try:
                total = asked.infer("classifier", [row]).as_numpy("total").tolist()
            except InferenceServerException as error:
                self.wrong.append(f"{error.status()}: {error.message()}")
                if len(self.wrong) > 10:
                    return
            else:
                self.right += 1
                if total not in ([4.0], [1004.0]):
                    self.wrong.append(str(total))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_a_roll_under_load_loses_no_call(serve: Serve, zoo: Mapping[str, Written]) -> None:
    server = serve("classifier", grpc_port=free_port(), workers=2).started()
    asking = Asking(server)
    try:
        until(lambda: asking.right > 50)
        for number, model in enumerate(("classifier2", "classifier", "classifier2")):
            before = asking.right
            models = [entry("classifier", zoo[model])]
            assert server.change({**server.tree, "generation": f"g{number}", "models": models})[-1]["ok"]
            until(lambda before=before: asking.right > before + 50 or asking.wrong)  # type: ignore[misc]
    finally:
        asking.stop()
    assert asking.wrong == []


def test_an_end_under_load_loses_no_call(serve: Serve) -> None:
    server = serve("classifier", grpc_port=free_port(), workers=2).started()
    asking = Asking(server)
    try:
        until(lambda: asking.right > 50)
        server.processes[0].terminate()
        assert server.processes[0].wait(WITHIN_S) == 0
    finally:
        asking.stop()
    assert {wrong.partition(":")[0] for wrong in asking.wrong} <= {"StatusCode.UNAVAILABLE"}
    assert all("onnect" in wrong for wrong in asking.wrong), asking.wrong  # nobody is there to be asked


def test_the_certificate_and_its_key_may_be_one_file(serve: Serve, tmp_path: Path) -> None:
    files = certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_text("".join(Path(files[part]).read_text() for part in ("key", "certificate")))
    tls = {"certificate": str(both), "key": str(both)}
    server = serve("classifier", grpc_port=free_port(), tls=tls).started()
    address = f"localhost:{server.tree['grpc_port']}"
    asked = InferenceServerClient(address, ssl=True, root_certificates=files["certificate"])
    found = asked.infer("classifier", [given("x", "FP32", np.ones((1, 4), np.float32))])
    assert found.as_numpy("total").tolist() == [4.0]


def test_a_port_that_another_process_has_is_not_shared(serve: Serve) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = serve("classifier", grpc_port=port)
        assert server.start().wait(WITHIN_S) != 0
    assert str(port) in server.log()[-1]["reason"]


def test_no_other_server_shares_the_port(serve: Serve) -> None:
    first = serve("classifier", grpc_port=free_port()).started()
    port = first.tree["grpc_port"]
    second = serve("classifier", grpc_port=port)
    assert second.start().wait(WITHIN_S) != 0
    assert second.log()[-1]["reason"] == f"port {port} of 127.0.0.1 is in use by another service or process"
    third = serve("classifier").started()
    refused = third.change({**third.tree, "grpc_port": port, "generation": "a2"})[-1]
    assert refused["error"] == second.log()[-1]["reason"]
    assert third.events("not changed")[-1]["reason"] == refused["error"]
    assert third.infer("classifier", row()).status_code == 200


def test_another_port_takes_the_place_of_the_one_before_once_it_is_to_be_had(serve: Serve) -> None:
    server = serve("classifier", grpc_port=free_port(), workers=2).started()
    before = server.tree["grpc_port"]
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        refused = server.change({**server.tree, "grpc_port": taken, "generation": "a2"})[-1]
        assert f"port {taken} of 127.0.0.1 is in use" in refused["error"]
    assert client(server).is_server_live()
    after = free_port()
    assert server.change({**server.tree, "grpc_port": after, "generation": "a3"})[-1]["ok"]
    assert InferenceServerClient(f"127.0.0.1:{after}").is_server_live()
    until(lambda: _is_free(before))
    same = {**server.tree, "grpc_port": after, "generation": "a4", "threads": 2}
    assert server.change(same)[-1]["ok"]  # the port that it has is no stranger's
    assert InferenceServerClient(f"127.0.0.1:{after}").is_server_live()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_without_a_port_nothing_of_grpc_is_loaded(serve: Serve) -> None:
    server = serve("classifier").started()
    for worker in server.workers():
        assert "cygrpc" not in Path(f"/proc/{worker}/maps").read_text()
