"""A service's life, over the real supervisord and model server, and over the fake machine."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from bedplate.engine.provider.kind import NotHealthy, ResourceFailed
from bedplate.engine.world.observe import observe
from bedplate.graph import Json
from bedplate.local_ports import FIRST, LAST
from bedplate.runtime.server.predictions import reading
from tests.engine.world.lab import Lab, model_bytes
from tests.ports import free_port
from tests.runtime.server.test_server_tls import certificate

BAD = b"bad: no ONNX model"


def serving(lab: Lab, **changes: Any) -> dict[str, Any]:
    """A lab that serves one model; gives the service's inputs."""
    lab.start()
    inputs = lab.inputs(lab.store(), **changes)
    lab.serve(inputs)
    return inputs


def stored_files(lab: Lab) -> set[str]:
    return {path.name for path in lab.world.artifacts.glob("sha256-*")}


def test_created_it_serves_and_reads_as_its_inputs(any_lab: Lab) -> None:
    any_lab.start()
    inputs = any_lab.inputs(any_lab.store(), replicas=2)
    created = any_lab.serve(inputs)
    port = created.outputs["port"]
    assert created.outputs["url"] == f"http://127.0.0.1:{port}"
    assert isinstance(port, int)
    assert FIRST <= port <= LAST
    master = any_lab.master()
    assert (master.ready, master.port, master.workers_ready) == (True, port, 2)
    observed = any_lab.read(inputs)
    assert observed is not None
    assert (observed.inputs, observed.outputs) == (inputs, created.outputs)
    imported = any_lab.read({})
    assert imported is not None
    assert imported.inputs == inputs


def test_created_again_it_is_the_same_and_not_restarted(any_lab: Lab) -> None:
    inputs = serving(any_lab)
    before = any_lab.master()
    created = any_lab.serve(inputs)
    after = any_lab.master()
    assert created.id == any_lab.service.find(any_lab.context("Service", "delay"))
    assert (before.pid, before.generation) == (after.pid, after.generation)


def test_removed_it_leaves_nothing(any_lab: Lab) -> None:
    inputs = serving(any_lab)
    any_lab.remove()
    assert any_lab.machine.master(any_lab.world, "delay") is None
    assert any_lab.machine.programs(any_lab.world) == {}
    assert any_lab.read(inputs) is None
    assert not any_lab.world.service("delay").exists()
    assert list(any_lab.world.logs.iterdir()) == []
    any_lab.remove()
    any_lab.unstore()
    any_lab.stop()
    assert not any_lab.world.root.exists()
    assert not any_lab.world.runtime.exists()
    assert any_lab.processes() == []


def test_without_a_supervisor_it_says_what_comes_first(any_lab: Lab) -> None:
    sha256 = any_lab.store()
    with pytest.raises(ResourceFailed, match="no supervisor yet"):
        any_lab.serve(any_lab.inputs(sha256))


def test_without_its_model_in_the_store_it_is_refused(any_lab: Lab) -> None:
    any_lab.start()
    with pytest.raises(ResourceFailed, match="not in the store"):
        any_lab.serve(any_lab.inputs("0" * 64))


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "../x"), ("name", "a\nb"), ("address", "a b"), ("replicas", 0), ("models", []), ("more", 1)],
)
def test_inputs_that_cannot_be_are_refused(fake_lab: Lab, field: str, value: Json) -> None:
    fake_lab.start()
    inputs = fake_lab.inputs(fake_lab.store())
    with pytest.raises(ResourceFailed, match=field):
        fake_lab.service.create(fake_lab.context("Service", "delay"), {**inputs, field: value})


def test_a_change_goes_over_in_place_and_the_old_model_is_thrown_away(any_lab: Lab) -> None:
    inputs = serving(any_lab)
    old, pid = inputs["models"][0]["sha256"], any_lab.master().pid
    new = any_lab.store(model_bytes(5.0))
    assert stored_files(any_lab) == {f"sha256-{old}.onnx", f"sha256-{new}.onnx"}
    changed = any_lab.inputs(new, replicas=2)
    outputs = any_lab.change(changed)
    master = any_lab.master()
    assert (master.pid, master.ready, master.workers_wanted) == (pid, True, 2)
    assert [model.sha256 for model in master.models] == [new]
    assert any_lab.config()["generation"] == master.generation
    assert stored_files(any_lab) == {f"sha256-{new}.onnx"}
    observed = any_lab.read(changed)
    assert observed is not None
    assert (observed.inputs, observed.outputs) == (changed, outputs)


def test_a_change_that_fails_leaves_the_old_one_serving(any_lab: Lab) -> None:
    inputs = serving(any_lab)
    before = any_lab.master()
    bad = any_lab.store(BAD)
    with pytest.raises(
        ResourceFailed, match=f"goes on with delay {inputs['models'][0]['version']} as before"
    ):
        any_lab.change(any_lab.inputs(bad))
    after = any_lab.master()
    assert (after.pid, after.generation, after.ready) == (before.pid, before.generation, True)
    assert not (any_lab.world.service("delay") / "next.json").exists()
    observed = any_lab.read(inputs)
    assert observed is not None
    assert observed.inputs == inputs


def test_a_bad_first_model_is_created_but_not_healthy_and_then_healed(any_lab: Lab) -> None:
    any_lab.start()
    with pytest.raises(NotHealthy) as caught:
        any_lab.serve(any_lab.inputs(any_lab.store(BAD)))
    any_lab.ids["delay"] = caught.value.id
    assert any("delay" in reason for reason in caught.value.reasons)
    observed = any_lab.read(any_lab.inputs("0" * 64))
    assert observed is not None
    assert observed.inputs["state"] == "failed"
    good = any_lab.inputs(any_lab.store())
    any_lab.change(good)
    observed = any_lab.read(good)
    assert observed is not None
    assert observed.inputs == good


def test_the_port_is_kept_when_it_comes_back(any_lab: Lab) -> None:
    inputs = serving(any_lab)
    port = any_lab.master().port
    any_lab.machine.stop_program(any_lab.world, "delay")
    observed = any_lab.read(inputs)
    assert observed is not None
    assert observed.inputs["state"] == "stopped"
    assert any_lab.change(inputs)["port"] == port
    assert any_lab.master().port == port


def test_two_services_are_never_given_one_port(any_lab: Lab) -> None:
    any_lab.start()
    sha256 = any_lab.store()
    first = any_lab.serve(any_lab.inputs(sha256)).outputs["port"]
    second = any_lab.serve(any_lab.inputs(sha256, "other")).outputs["port"]
    assert first != second
    assert (any_lab.master("delay").port, any_lab.master("other").port) == (first, second)


def test_a_port_moves_to_the_service_that_the_spec_gives_it_to(any_lab: Lab) -> None:
    port = free_port()
    inputs = serving(any_lab, port=port)
    heir = any_lab.inputs(any_lab.store(), "other", port=port)
    assert any_lab.serve(heir).outputs["port"] == port
    assert any_lab.master("other").port == port
    assert any_lab.machine.master(any_lab.world, "delay") is None
    assert set(any_lab.machine.programs(any_lab.world)) == {"other"}
    evicted = any_lab.read(inputs)
    assert evicted is not None
    assert evicted.inputs["state"] == "stopped"
    seen = {service.name: service.port for service in observe(any_lab.workspace, "local").services}
    assert seen == {"delay": None, "other": port}
    any_lab.remove()
    assert any_lab.read(inputs) is None
    assert any_lab.master("other").ready


def test_a_port_for_grpc_that_somebody_has_fails_at_once(lab: Lab) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ResourceFailed, match=f"port {port} is in use by another") as failed:
            serving(lab, grpc_port=port)
    assert "`grpc_port`" in str(failed.value)


def test_a_service_is_not_replaced_by_one_whose_port_somebody_has(lab: Lab) -> None:
    inputs = serving(lab, port=free_port())
    context = lab.context("Service", "delay")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ResourceFailed, match=f"port {port} is in use by another"):
            lab.service.may_replace(context, inputs, {**inputs, "port": port})
    lab.service.may_replace(context, inputs, {**inputs, "port": port})
    other_port = free_port()
    lab.serve(lab.inputs(lab.store(), "other", port=other_port))
    lab.service.may_replace(context, inputs, {**inputs, "port": other_port})  # the spec's own affair


def test_a_service_that_lost_its_port_gets_another_and_serves(any_lab: Lab) -> None:
    port = free_port()
    inputs = serving(any_lab, port=port)
    any_lab.serve(any_lab.inputs(any_lab.store(), "other", port=port))
    anywhere = {key: value for key, value in inputs.items() if key != "port"}
    outputs = any_lab.change(anywhere)
    assert outputs["port"] != port
    assert (any_lab.master().ready, any_lab.master().port) == (True, outputs["port"])
    assert (any_lab.master("other").ready, any_lab.master("other").port) == (True, port)
    observed = any_lab.read(anywhere)
    assert observed is not None
    assert (observed.inputs, observed.outputs) == (anywhere, outputs)


def test_a_service_of_another_stack_is_not_adopted(any_lab: Lab) -> None:
    inputs = serving(any_lab)
    with pytest.raises(ResourceFailed, match="not managed by this project"):
        any_lab.service.create(any_lab.context("Service", "delay", project="another"), inputs)
    stranger = "delay@0000000000000000"
    context = any_lab.context("Service", "delay")
    assert any_lab.service.read(context, stranger, inputs, {}) is None
    any_lab.service.delete(context, stranger, inputs, {})
    with pytest.raises(ResourceFailed, match="is gone"):
        any_lab.service.update(context, stranger, inputs, {}, inputs)
    assert any_lab.master().ready


def test_a_configuration_edited_by_hand_is_seen_and_put_right(any_lab: Lab) -> None:
    inputs = serving(any_lab)
    path = any_lab.world.service("delay") / "server.json"
    for edit in ("", "{", json.dumps({**any_lab.config(), "workers": 7})):
        path.write_text(edit)
        observed = any_lab.read(inputs)
        assert observed is not None
        assert observed.inputs["state"] == "inconsistent"
        any_lab.change(inputs)
        observed = any_lab.read(inputs)
        assert observed is not None
        assert observed.inputs == inputs


def test_an_api_key_is_known_by_its_digest_alone(any_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = {"secret": "key", "source": {"env": "FLIGHTS_KEY"}, "fingerprint": "ab" * 32}
    any_lab.start()
    inputs = any_lab.inputs(any_lab.store(), api_key=secret)
    monkeypatch.delenv("FLIGHTS_KEY", raising=False)
    with pytest.raises(ResourceFailed, match="set the environment variable FLIGHTS_KEY"):
        any_lab.serve(inputs)
    monkeypatch.setenv("FLIGHTS_KEY", "canary-4711")
    any_lab.serve(inputs)
    generation = any_lab.master().generation
    any_lab.change(inputs)
    assert any_lab.master().generation == generation
    monkeypatch.setenv("FLIGHTS_KEY", "canary-4712")
    any_lab.change(inputs)
    assert any_lab.master().generation != generation
    for path in any_lab.world.root.rglob("*"):
        assert not path.is_file() or b"canary-47" not in path.read_bytes(), path


TLS = {"secret": "delay-tls", "source": {"env": "FLIGHTS_TLS"}, "fingerprint": "ab" * 32}


def pem(folder: Path, name: str, *kinds: str) -> str:
    """A new certificate, its key or both, in this order."""
    files = certificate(folder, name)
    return "".join(Path(files[kind]).read_text() for kind in kinds)


@pytest.mark.parametrize("kinds", [("certificate", "key"), ("key", "certificate")])
def test_a_certificate_is_a_file_of_its_owner_alone(
    any_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: tuple[str, ...]
) -> None:
    monkeypatch.setenv("FLIGHTS_TLS", pem(tmp_path, "first", *kinds))
    inputs = serving(any_lab, tls=TLS)
    first = Path(any_lab.config()["tls"]["certificate"])
    assert (first.stat().st_mode & 0o777, first.parent) == (0o600, any_lab.world.service("delay"))
    observed = any_lab.read(inputs)
    assert observed is not None
    assert observed.inputs == inputs
    url = f"https://127.0.0.1:{any_lab.master().port}"
    (seen,) = observe(any_lab.workspace, "local").services
    assert (observed.outputs["url"], seen.url) == (url, url)
    generation = any_lab.master().generation
    any_lab.change(inputs)
    assert any_lab.master().generation == generation

    monkeypatch.setenv("FLIGHTS_TLS", pem(tmp_path, "second", *kinds))
    (first.parent / ".tls-cut-off.pem.draft").write_text("what a process that was killed had written")
    any_lab.change(inputs)
    assert any_lab.master().generation != generation
    second = Path(any_lab.config()["tls"]["certificate"])
    assert [*second.parent.glob("*tls-*")] == [second] != [first]
    second.unlink()
    observed = any_lab.read(inputs)
    assert observed is not None
    assert observed.inputs["state"] == "inconsistent"
    any_lab.change(inputs)
    assert second.exists()
    plain = any_lab.inputs(inputs["models"][0]["sha256"])
    assert str(any_lab.change(plain)["url"]).startswith("http://")
    assert not [*second.parent.glob("tls-*")]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("key", "holds no certificate"),
        ("certificate", "holds no private key"),
        ("another's", "the key is not that of the first certificate"),
        ("broken", "holds no certificate with its key"),
        ("password", "the key has a password"),
    ],
)
def test_what_no_server_could_show_changes_nothing(
    fake_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, reason: str
) -> None:
    monkeypatch.setenv("FLIGHTS_TLS", pem(tmp_path, "first", "certificate", "key"))
    inputs = serving(fake_lab, tls=TLS)
    generation, config = fake_lab.master().generation, fake_lab.config()
    files = certificate(tmp_path, "protected", b"hunter22")
    value = {
        "another's": pem(tmp_path, "one", "certificate") + pem(tmp_path, "other", "key"),
        "broken": pem(tmp_path, "broken", "key", "certificate").replace("MII", "M.I"),
        "password": Path(files["certificate"]).read_text() + Path(files["key"]).read_text(),
    }
    monkeypatch.setenv("FLIGHTS_TLS", value.get(wrong) or pem(tmp_path, "part", wrong))
    with pytest.raises(ResourceFailed, match=f"the secret delay-tls .*{reason}"):
        fake_lab.change(inputs)
    assert (fake_lab.master().generation, fake_lab.config()) == (generation, config)
    assert [str(path) for path in fake_lab.world.service("delay").glob("tls-*")] == [
        config["tls"]["certificate"]
    ]


LOG = {"sample": 1.0, "retention_s": 86_400, "backlog_bytes": 2**30, "record_bytes": 2**20}


def test_predictions_are_kept_where_they_outlive_the_service(lab: Lab) -> None:
    inputs = serving(lab, prediction_log=LOG)
    observed = lab.read(inputs)
    assert observed is not None
    assert observed.inputs == inputs
    lab.infer(lab.master().port, 4.0)
    lab.change({**inputs, "prediction_log": None})
    assert "prediction_log" not in lab.config()
    lab.change({**inputs, "prediction_log": {**LOG, "sample": 0.5}})
    assert lab.config()["prediction_log"]["sample"] == 0.5
    lab.remove()
    table = reading.dataset(lab.world.predictions / "serving.delay" / "delay").to_table().to_pylist()
    assert [row["inputs"]["x"]["data"] for row in table] == [[4.0]]


def test_predictions_go_to_a_bucket_by_name_only(fake_lab: Lab) -> None:
    inputs = serving(fake_lab, prediction_log={**LOG, "to": "s3://acme-ml/flights"})
    told = fake_lab.config()["prediction_log"]
    assert told["to"] == "s3://acme-ml/flights"
    assert told["spool"] == str(fake_lab.world.predictions / ".spool" / "serving.delay")
    observed = fake_lab.read(inputs)
    assert observed is not None
    assert observed.inputs == inputs


def test_without_pyarrow_no_log_is_promised(fake_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_lab.start()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ResourceFailed, match=r"pip install 'bedplate\[log\]'"):
        fake_lab.serve(fake_lab.inputs(fake_lab.store(), prediction_log=LOG))
