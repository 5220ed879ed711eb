"""Whatever is killed is seen, and comes back: workers, masters, supervisors, all of them."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.error
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from bedplate.engine.world import supervisord
from bedplate.engine.world.observe import WorldStatus, observe
from tests.engine.world.lab import Lab, gone, until


def serving(lab: Lab, **changes: Any) -> dict[str, Any]:
    lab.start()
    inputs = lab.inputs(lab.store(), **changes)
    lab.serve(inputs)
    return inputs


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid), f"process {pid} ends")


def supervisor_pid(lab: Lab) -> int:
    return int(str(supervisord.call(lab.world, "getPID")))


def status(lab: Lab) -> WorldStatus:
    return observe(lab.workspace, lab.environment)


def state(lab: Lab, inputs: dict[str, Any]) -> object:
    observed = lab.read(inputs)
    return None if observed is None else observed.inputs["state"]


def test_a_killed_worker_comes_back(lab: Lab) -> None:
    inputs = serving(lab, replicas=2)
    victim = lab.master().workers[0].pid
    os.kill(victim, signal.SIGKILL)
    until(lambda: lab.master().restarts == 1, "the loss is counted")
    assert state(lab, inputs) == "running"
    service = status(lab).services[0]
    assert service.restarts == 1
    assert service.last_exit is not None
    assert (service.last_exit.pid, service.last_exit.signal) == (victim, signal.SIGKILL)
    assert str(service.last_exit).startswith(f"process {victim} ended by signal 9 at 2")
    assert json.loads(json.dumps(asdict(status(lab))))["services"][0]["models"][0]["name"] == "delay"
    assert lab.infer(lab.master().port) == 6.0


def test_a_killed_master_comes_back_on_the_same_port(lab: Lab) -> None:
    inputs = serving(lab)
    before = lab.master()
    kill(before.pid)
    until(lambda: state(lab, inputs) == "running", "the service runs again")
    after = lab.master()
    assert after.pid != before.pid
    assert after.port == before.port
    assert gone(before.workers[0].pid)
    assert lab.infer(after.port) == 6.0


def test_a_killed_supervisor_leaves_servers_that_its_successor_takes_over(lab: Lab) -> None:
    inputs = serving(lab)
    orphan = lab.master()
    kill(supervisor_pid(lab))
    assert state(lab, inputs) == "unsupervised"
    seen = status(lab)
    assert (seen.supervisor.alive, seen.healthy, seen.services[0].state) == (False, False, "unsupervised")
    assert lab.infer(orphan.port) == 6.0
    kill(orphan.workers[0].pid)  # an orphan still looks after its own workers
    until(lambda: lab.master().ready, "the orphan has a new worker")
    refused, served = _requests_while(lab, orphan.port, lambda: _taken_over(lab, orphan.pid))
    assert refused == []
    assert served > 0
    until(lambda: gone(orphan.pid), "the orphan ends")
    assert state(lab, inputs) == "running"
    assert status(lab).healthy
    lab.remove()
    lab.unstore()
    lab.stop()
    assert lab.processes() == []


def _taken_over(lab: Lab, orphan: int) -> None:
    lab.start()
    until(lambda: lab.master().pid != orphan and lab.master().ready, "a supervised server takes over")


def _requests_while(lab: Lab, port: int, happens: Callable[[], None]) -> tuple[list[str], int]:
    """What went wrong with requests on new connections while something happens, and how many went well."""
    refused: list[str] = []
    served = 0
    over = threading.Event()

    def ask() -> None:
        nonlocal served
        while not over.is_set():
            try:
                assert lab.infer(port) == 6.0
                served += 1
            except (urllib.error.URLError, OSError) as error:
                refused.append(str(error))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        happens()
    finally:
        over.set()
        asking.join()
    return refused, served


def test_an_update_after_the_supervisor_died_brings_everything_back(lab: Lab) -> None:
    inputs = serving(lab)
    kill(supervisor_pid(lab))
    lab.change({**inputs, "replicas": 2})
    observed = lab.read({**inputs, "replicas": 2})
    assert observed is not None
    assert observed.inputs == {**inputs, "replicas": 2}
    assert status(lab).healthy


def test_removed_without_a_supervisor_the_orphan_is_retired(lab: Lab) -> None:
    serving(lab)
    orphan = lab.master()
    kill(supervisor_pid(lab))
    lab.remove()
    until(lambda: gone(orphan.pid), "the orphan ends")
    assert not lab.world.service("delay").exists()
    assert list(lab.world.runtime.glob("delay*")) == []


def test_killed_both_it_is_stopped_and_comes_back(lab: Lab) -> None:
    inputs = serving(lab)
    before = lab.master()
    kill(supervisor_pid(lab))
    kill(before.pid)
    assert state(lab, inputs) == "stopped"
    started = time.monotonic()
    seen = status(lab)
    assert time.monotonic() - started < 0.5
    assert (seen.healthy, seen.services[0].state, seen.services[0].pid) == (False, "stopped", None)
    supervisor = lab.read_supervisor()
    assert supervisor is not None
    assert supervisor.inputs["state"] == "stopped"
    lab.start()
    until(lambda: state(lab, inputs) == "running", "the service runs again")
    assert lab.infer(before.port) == 6.0


def test_a_server_that_hangs_is_replaced(lab: Lab) -> None:
    inputs = serving(lab, timeouts={"ready_s": 30, "drain_s": 1, "stop_s": 1})
    hanging = lab.master()
    os.kill(hanging.pid, signal.SIGSTOP)
    assert state(lab, inputs) == "degraded"
    lab.change(inputs)
    assert lab.master().pid != hanging.pid
    assert gone(hanging.pid)
    assert lab.infer(hanging.port) == 6.0


def test_status_of_an_environment_where_nothing_was_ever_applied(lab: Lab) -> None:
    seen = status(lab)
    assert seen.healthy
    assert not seen.supervisor.expected
    assert seen.services == ()
    assert not lab.world.root.exists()
