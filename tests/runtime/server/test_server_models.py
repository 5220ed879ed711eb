"""What a model file may be: refused by its bytes, by its digest, by its limits."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import os
import pickle
import resource
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from bedplate import onnx_file
from bedplate.runtime.server import model
from bedplate.runtime.server.config import Config, ModelFile, parse
from tests.runtime.server import served_models as models
from tests.runtime.server.served import Server, config, until


@pytest.fixture(scope="session")
def plain(zoo: dict[str, models.Written]) -> Config:
    some = {"name": "m", "version": "1", "path": "/m.onnx", "sha256": "0" * 64}
    return parse(json.dumps(config([some])))


def load(written: models.Written, plain: Config) -> model.Model:
    return model.load(ModelFile("m", "1", str(written.path), written.sha256), plain)


def refusal(written: models.Written, plain: Config) -> str:
    with pytest.raises(model.NotLoadable) as refused:
        load(written, plain)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def external(tensor: onnx.TensorProto, location: str = "weights") -> onnx.TensorProto:
    """The tensor, saying that its bytes lie elsewhere."""
    moved = onnx.TensorProto(dims=tensor.dims, data_type=tensor.data_type, name=tensor.name)
    moved.data_location = TensorProto.EXTERNAL
    for key, text in (("location", location), ("offset", "0"), ("length", str(4 * np.prod(tensor.dims)))):
        moved.external_data.add(key=key, value=text)
    return moved


def adding(weights: onnx.TensorProto) -> onnx.ModelProto:
    x, y = (models.value(name, TensorProto.FLOAT, [2048]) for name in "xy")
    return models.model([helper.make_node("Add", ["x", weights.name], ["y"])], [x], [y], [weights])


WEIGHTS = numpy_helper.from_array(np.ones(2048, np.float32), "w")


def test_onnxruntime_by_itself_reads_external_data_of_models_given_as_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: Config
) -> None:
    """Why the walk is there: if this fails one day, onnxruntime has become stricter."""
    (tmp_path / "weights").write_bytes(np.full(2048, 7, np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    data = adding(external(WEIGHTS)).SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.zeros(2048, np.float32)})[0][0] == 7
    assert "external data" in refusal(models.write(tmp_path / "m.onnx", data), plain)


@pytest.mark.parametrize("location", ["../x", "a/../../x", "/etc/passwd", "..\\x", "weights", ""])
def test_external_data_is_refused_wherever_it_points(tmp_path: Path, plain: Config, location: str) -> None:
    written = models.write(tmp_path / "m.onnx", adding(external(WEIGHTS, location)))
    assert "external data" in refusal(written, plain)


@pytest.mark.parametrize("made", ["link", "folder that is a link", "hard link", "pipe"])
def test_external_data_is_refused_whatever_lies_there(tmp_path: Path, plain: Config, made: str) -> None:
    outside, project = tmp_path / "outside", tmp_path / "project"
    for folder in (outside, project):
        folder.mkdir()
    (outside / "weights").write_bytes(np.full(2048, 7, np.float32).tobytes())
    location = "weights"
    match made:
        case "link":
            (project / location).symlink_to(outside / location)
        case "hard link":
            (project / location).hardlink_to(outside / location)
        case "pipe":
            os.mkfifo(project / location)  # whoever opens it waits
        case _:
            (project / "sub").symlink_to(outside)
            location = "sub/weights"
    written = models.write(project / "m.onnx", adding(external(WEIGHTS, location)))
    assert "external data" in refusal(written, plain)


@pytest.mark.parametrize(
    ("key", "value"),
    [("offset", "-1"), ("length", "-4"), ("length", str(2**70)), ("__class__", "x"), ("basepath", "/etc")],
)
def test_external_data_is_refused_whatever_is_said_of_it(
    tmp_path: Path, plain: Config, key: str, value: str
) -> None:
    tensor = external(WEIGHTS)
    tensor.external_data.add(key=key, value=value)
    sparse = models.classifier()
    sparse.graph.node[0].attribute.add(name="sparse_value").sparse_tensor.values.CopyFrom(tensor)
    for found in (adding(tensor), sparse):
        assert "external data" in refusal(models.write(tmp_path / "m.onnx", found), plain)


def _hidden() -> dict[str, Callable[[onnx.ModelProto, onnx.TensorProto], object]]:
    """Every place of a model that holds a tensor."""

    def attribute(proto: onnx.ModelProto) -> onnx.AttributeProto:
        return proto.graph.node[0].attribute.add(name="a")

    def sparse(tensor: onnx.TensorProto, part: str) -> onnx.SparseTensorProto:
        made = onnx.SparseTensorProto()
        getattr(made, part).CopyFrom(tensor)
        return made

    return {
        "initializer": lambda m, t: m.graph.initializer.append(t),
        "sparse initializer, values": lambda m, t: m.graph.sparse_initializer.append(sparse(t, "values")),
        "sparse initializer, indices": lambda m, t: m.graph.sparse_initializer.append(sparse(t, "indices")),
        "attribute": lambda m, t: attribute(m).t.CopyFrom(t),
        "attributes": lambda m, t: attribute(m).tensors.append(t),
        "sparse attribute": lambda m, t: attribute(m).sparse_tensor.CopyFrom(sparse(t, "values")),
        "sparse attributes": lambda m, t: attribute(m).sparse_tensors.append(sparse(t, "indices")),
        "subgraph": lambda m, t: attribute(m).g.initializer.append(t),
        "subgraphs": lambda m, t: attribute(m).graphs.add().node.add().attribute.add().t.CopyFrom(t),
        "function": lambda m, t: m.functions.add().node.add().attribute.add().t.CopyFrom(t),
        "function's default": lambda m, t: m.functions.add().attribute_proto.add().t.CopyFrom(t),
        "training": lambda m, t: m.training_info.add().initialization.initializer.append(t),
        "training algorithm": lambda m, t: m.training_info.add().algorithm.initializer.append(t),
    }


@pytest.mark.parametrize("place", list(_hidden()))
def test_the_walk_finds_external_data_everywhere(place: str) -> None:
    found = models.classifier()
    _hidden()[place](found, WEIGHTS)
    onnx_file.check(found.SerializeToString())
    only_keys = onnx.TensorProto()
    only_keys.external_data.add(key="location", value="x")
    for tensor in (external(WEIGHTS), only_keys):
        found = models.classifier()
        _hidden()[place](found, tensor)
        with pytest.raises(onnx_file.NotLoadable, match="external data"):
            onnx_file.check(found.SerializeToString())


def test_the_walk_knows_every_message_that_leads_to_a_tensor() -> None:
    """Against onnx's own descriptors: a new place for tensors in the format must be seen here."""
    tensor = onnx.TensorProto.DESCRIPTOR
    seen: dict[str, onnx_file._Message] = {}

    def collect(message: onnx_file._Message) -> None:
        if message.name not in seen:
            seen[message.name] = message
            for child in message.children.values():
                collect(child)

    collect(onnx_file._MODEL)

    def leads(descriptor, path: tuple[str, ...] = ()) -> bool:  # type: ignore[no-untyped-def]
        if descriptor.name in path:
            return False
        return descriptor is tensor or any(
            leads(field.message_type, (*path, descriptor.name))
            for field in descriptor.fields
            if field.message_type
        )

    assert set(seen) >= {"ModelProto", "GraphProto", "TensorProto"}
    for name, message in seen.items():
        for field in getattr(onnx, name).DESCRIPTOR.fields:
            if name == "TensorProto" or not field.message_type or not leads(field.message_type):
                continue
            assert message.children[field.number].name == field.message_type.name, f"{name}.{field.name}"


@given(st.binary(max_size=200))
def test_any_bytes_are_decided(data: bytes) -> None:
    for start in (b"", b"\x08\x08"):
        with suppress(onnx_file.NotLoadable):
            onnx_file.check(start + data)


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=4))
def test_a_damaged_model_is_decided(at: int, damage: bytes) -> None:
    data = bytearray(models.classifier().SerializeToString())
    at %= len(data)
    data[at : at + len(damage)] = damage
    with suppress(onnx_file.NotLoadable):
        onnx_file.check(bytes(data))


def _zipped(content: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", content)
    return held.getvalue()


def _tarred(name: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, "/etc/passwd"
        archive.addfile(entry)
    return held.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (pickle.dumps({"a": 1}), "pickle"),
        (pickle.dumps({"a": 1}, protocol=0), "not an ONNX model"),
        (gzip.compress(pickle.dumps({}), mtime=0), "gzip"),
        (_zipped(pickle.dumps({})), "zip"),
        (_zipped(bytes(2**28)), "zip"),
        (_tarred("../m"), "not an ONNX model"),
        (_tarred("/m", tarfile.SYMTYPE), "not an ONNX model"),
        (_tarred("m", tarfile.CHRTYPE), "not an ONNX model"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"hello", "not an ONNX model"),
        (models.classifier().SerializeToString()[:-9], "cut off"),
        (b"\x08\x08\x3a\x00", "onnxruntime refuses it"),
    ],
    ids=[
        *("empty", "pickle", "old pickle", "gzip", "zip", "bomb", "tar", "tar of a link", "tar of a device"),
        *("HDF5", "text", "cut off", "no graph"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, plain: Config, data: bytes, words: str) -> None:
    """Archives too: nothing is unpacked."""
    folder = tmp_path / "models"
    folder.mkdir()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert words in refusal(models.write(folder / "m.onnx", data), plain)
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*")] == [
        Path("models"),
        Path("models/m.onnx"),
    ]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 2**10


def test_a_pickle_is_never_loaded(tmp_path: Path, plain: Config) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    refusal(models.write(tmp_path / "m.onnx", pickle.dumps(Trap())), plain)
    assert not (tmp_path / "sprung").exists()


def test_unknown_operators_and_opsets_are_refused(tmp_path: Path, plain: Config) -> None:
    proto = models.classifier()
    proto.opset_import[0].version = 999
    assert "Opset 999" in refusal(models.write(tmp_path / "a.onnx", proto), plain)
    x, y = (models.value(name, TensorProto.FLOAT, [1]) for name in "xy")
    custom = models.model([helper.make_node("Shell", ["x"], ["y"], domain="my.ops")], [x], [y])
    custom.opset_import.append(helper.make_opsetid("my.ops", 1))
    assert "my.ops" in refusal(models.write(tmp_path / "b.onnx", custom), plain)


def test_a_model_that_fails_to_run_is_refused(tmp_path: Path, plain: Config) -> None:
    proto = models.lookup()
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros(0, np.float32), "table"))
    assert "onnxruntime refuses it" in refusal(models.write(tmp_path / "m.onnx", proto), plain)


def test_maps_are_refused_with_advice(tmp_path: Path, plain: Config) -> None:
    zipmap = helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])
    kind = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    )
    proto = models.model(
        [zipmap], [models.value("x", TensorProto.FLOAT, ["N", 2])], [helper.make_value_info("y", kind)]
    )
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    assert "zipmap off" in refusal(models.write(tmp_path / "m.onnx", proto), plain)


def test_the_digest_must_be_that_of_the_bytes(zoo: dict[str, models.Written], plain: Config) -> None:
    wrong = dataclasses.replace(zoo["classifier"], sha256="0" * 64)
    assert f"has SHA-256 {zoo['classifier'].sha256}" in refusal(wrong, plain)
    assert load(zoo["classifier"], plain).name == "m"


def test_a_file_that_is_swapped_while_it_is_read_is_not_trusted(
    zoo: dict[str, models.Written], plain: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes that were hashed are the bytes that run, whatever the path holds afterwards."""
    path = tmp_path / "m.onnx"
    path.write_bytes(zoo["classifier"].path.read_bytes())
    check = onnx_file.check

    def swap(data: bytes) -> frozenset[str]:
        path.write_bytes(zoo["classifier2"].path.read_bytes())
        return check(data)

    monkeypatch.setattr(onnx_file, "check", swap)
    loaded = load(models.Written(path, zoo["classifier"].sha256), plain)
    (total,) = loaded.run({"x": np.ones((1, 4), np.float32)}, ["total"])
    assert total[0] == 4.0


def test_only_regular_files_are_read(tmp_path: Path, plain: Config) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "not a regular file" in refusal(models.Written(tmp_path / "fifo", "0" * 64), plain)
    assert "cannot be read" in refusal(models.Written(tmp_path, "0" * 64), plain)
    assert "cannot be read" in refusal(models.Written(tmp_path / "no", "0" * 64), plain)


def test_a_huge_file_is_refused_unread(tmp_path: Path, plain: Config) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(10 * 2**30)
    limited = dataclasses.replace(plain, memory_bytes=2**30)
    assert "memory limit" in refusal(models.Written(path, "0" * 64), limited)
    assert "2 GiB" in refusal(models.Written(path, "0" * 64), plain)


def test_a_model_that_needs_more_than_the_memory_limit_is_not_ready(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    """A small file that wants gigabytes when it runs, in a worker that may have less."""
    size = numpy_helper.from_array(np.array([40_000, 40_000], np.int64), "size")
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["wide"]),
        helper.make_node("Mul", ["wide", "x"], ["product"]),
        helper.make_node("ReduceSum", ["product"], ["y"], keepdims=0),
    ]
    x, y = models.value("x", TensorProto.FLOAT, [1]), models.value("y", TensorProto.FLOAT, [])
    written = models.write(tmp_path / "wide.onnx", models.model(nodes, [x], [y], [size]))
    entry = {"name": "wide", "version": "1", "path": str(written.path), "sha256": written.sha256}
    server = serve(models=[entry], memory_bytes=2 * 2**30)
    server.start()
    until(lambda: "does not fit into memory" in (server.status().get("error") or ""))
    assert server.client.get("/health").status_code == 503
    assert server.processes[0].poll() is None
