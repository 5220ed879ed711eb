"""Faults of the surroundings, over the real machine: neighbours, odd paths, models that vanish or are bad."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bedplate.engine.provider.kind import NotHealthy, ResourceFailed
from bedplate.engine.world import ports, store
from bedplate.engine.world.observe import observe
from tests.engine.world.lab import Lab, model_bytes
from tests.engine.world.test_killed import kill, state, supervisor_pid


@contextmanager
def listening(port: int = 0) -> Iterator[int]:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen(1)
        yield taken.getsockname()[1]


def serve(lab: Lab, **changes: Any) -> dict[str, Any]:
    lab.start()
    inputs = lab.inputs(lab.store(), **changes)
    lab.serve(inputs)
    return inputs


def test_a_clone_next_to_a_clone(make_lab: Callable[[str], Lab]) -> None:
    one, other = make_lab("one"), make_lab("other")
    inputs = serve(one)
    serve(other)
    assert one.ids["supervisor"] != other.ids["supervisor"]
    assert one.master().port != other.master().port
    assert (one.infer(one.master().port), other.infer(other.master().port)) == (6.0, 6.0)
    other.remove()
    other.stop()
    assert one.read(inputs) is not None
    assert observe(one.workspace, "local").healthy


@pytest.mark.parametrize("folder", ["x" * 150, "a b/100% [c] ;d #e"])
def test_any_path_will_do(make_lab: Callable[[str], Lab], folder: str) -> None:
    lab = make_lab(folder)
    inputs = serve(lab)
    assert lab.infer(lab.master().port) == 6.0
    assert state(lab, inputs) == "running"
    lab.change({**inputs, "replicas": 2})
    assert lab.master().workers_ready == 2


def test_a_port_that_somebody_has_is_refused_before_anything_runs(lab: Lab) -> None:
    lab.start()
    sha256 = lab.store()
    with listening() as port:
        with pytest.raises(ResourceFailed, match=f"port {port} is in use"):
            lab.serve(lab.inputs(sha256, port=port))
        assert lab.machine.programs(lab.world) == {}
    assert lab.serve(lab.inputs(sha256, port=port)).outputs["port"] == port


def test_a_preferred_port_that_somebody_has_is_passed_over(lab: Lab) -> None:
    lab.start()
    sha256 = lab.store()
    preferred = ports.preferred(lab.root, "local", "delay")
    with listening(preferred):
        given = lab.serve(lab.inputs(sha256)).outputs["port"]
    assert given != preferred
    lab.change(lab.inputs(sha256, replicas=2))
    assert lab.master().port == given


def test_a_stored_model_that_vanished_under_a_server_is_healed(lab: Lab) -> None:
    inputs = serve(lab)
    stored = store.stored(lab.world, inputs["models"][0]["sha256"])
    stored.unlink()
    kill(lab.master().pid)
    assert state(lab, inputs) in ("failed", "degraded")
    context = lab.context("Artifact", "delay")
    lost = lab.artifact.read(context, lab.ids["models.delay"], {}, {})
    assert lost is not None
    assert (lost.inputs["sha256"], lost.inputs["size"]) == ("", 0)
    with pytest.raises(ResourceFailed, match="not in the store"):
        lab.change(inputs)
    lab.artifact.update(context, lab.ids["models.delay"], lost.inputs, {}, lab.write_model())
    lab.change(inputs)
    assert state(lab, inputs) == "running"
    assert lab.infer(lab.master().port) == 6.0


def test_an_orphan_is_not_given_up_for_a_bad_model(lab: Lab) -> None:
    inputs = serve(lab)
    orphan = lab.master()
    kill(supervisor_pid(lab))
    bad = lab.store(b"no model")
    with pytest.raises(ResourceFailed, match="as before"):
        lab.change(lab.inputs(bad))
    assert lab.infer(orphan.port) == 6.0
    good = lab.inputs(lab.store(model_bytes(5.0)))
    lab.change(good)
    assert lab.infer(orphan.port) == 15.0
    assert state(lab, good) == "running"
    assert lab.master().pid != orphan.pid
    assert inputs["models"] != good["models"]


def test_not_ready_in_time_says_so_with_the_log(lab: Lab) -> None:
    lab.start()
    inputs = lab.inputs(lab.store(), timeouts={"ready_s": 1, "drain_s": 1, "stop_s": 1}, replicas=8)
    with pytest.raises(NotHealthy) as caught:
        lab.serve(inputs)
    assert "not ready within 1" in caught.value.reasons[0]


def test_interrupted_it_stops_waiting(lab: Lab) -> None:
    lab.start()
    inputs = lab.inputs(lab.store())
    context = lab.context("Service", "delay")
    context.cancelled.set()
    with pytest.raises(NotHealthy, match="interrupted"):
        lab.service.create(context, inputs)
    lab.serve(inputs)
    assert state(lab, inputs) == "running"


CREATE = """
import sys, threading, json
from pathlib import Path
from bedplate.engine.provider.kind import Context
from bedplate.engine.provider.kinds import KINDS
from bedplate.workspace import Workspace
root, kind, name, inputs = Path(sys.argv[1]), sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
urn = f"urn:pulumi:local::flights::bedplate:local:{kind}::{name}"
context = Context(Workspace(root), urn, threading.Event(), print)
print(KINDS[f"bedplate:local:{kind}"].create(context, inputs).id)
"""


def test_several_providers_at_once_share_one_supervisor_and_no_port(lab: Lab) -> None:
    sha256 = lab.store()
    supervisor = {"environment": "local", "state": "running"}

    def start(kind: str, name: str, inputs: dict[str, Any]) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", CREATE, str(lab.root), kind, name, json.dumps(inputs)]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    def finish(started: list[subprocess.Popen[str]]) -> list[str]:
        said = [process.communicate(timeout=90)[0] for process in started]
        assert all(process.returncode == 0 for process in started)
        return [text.splitlines()[-1] for text in said]

    ids = finish([start("Supervisor", "supervisor", supervisor) for _ in range(3)])
    assert len(set(ids)) == 1
    finish([start("Service", name, lab.inputs(sha256, name)) for name in ("a", "b", "c")])
    assert len({lab.master(name).port for name in ("a", "b", "c")}) == 3
    assert observe(lab.workspace, "local").healthy


def test_threads_of_one_provider_share_as_well(fake_lab: Lab) -> None:
    fake_lab.start()
    sha256 = fake_lab.store()
    names = [f"s{number}" for number in range(12)]
    creating = [
        threading.Thread(target=lambda name=name: fake_lab.serve(fake_lab.inputs(sha256, name)))
        for name in names
    ]
    for thread in creating:
        thread.start()
    for thread in creating:
        thread.join()
    assert len({fake_lab.master(name).port for name in names}) == 12
