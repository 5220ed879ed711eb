"""The example's own code on a part of its data: what it trains is served, and what it shows is true."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import ask
import flights
import numpy as np
import onnx
import pandas as pd
import pytest
import train
import yaml

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "flights"
EVERY = 40
READY_S = 60

# skl2onnx writes booleans where onnx wants 0 and 1; the lock pins a protobuf that takes them.
pytestmark = pytest.mark.filterwarnings("ignore:Field onnx.AttributeProto.ints:DeprecationWarning")


@pytest.fixture(scope="module")
def some() -> flights.Flights:
    return flights.load(flights.data_folder(), EVERY)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flights")
    train.train(folder, EVERY)
    return folder


@pytest.fixture(scope="module")
def url(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The trained model behind the real server."""
    scratch = tmp_path_factory.mktemp("server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = scratch / "config.json"
    config.write_text(json.dumps(_server_config(trained / "models" / "delay.onnx", port)))
    config.chmod(0o600)
    command = [sys.executable, "-m", "bedplate.runtime.server", "--config", str(config)]
    with (scratch / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--control", "control.sock"], cwd=scratch, stdout=log, stderr=log
        )
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}", server, scratch / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        assert server.wait(30) == 0


def _server_config(model: Path, port: int) -> dict[str, object]:
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    return {
        "service": "serving.delay",
        "generation": "0a1b2c3d",
        "host": "127.0.0.1",
        "port": port,
        "models": [{"name": "delay", "version": sha256[:12], "path": str(model), "sha256": sha256}],
        "workers": 1,
        "threads": 1,
        "memory_bytes": None,
        "slo_p95_s": 0.1,
        "limits": {"body_bytes": 1 << 20, "in_flight": 8, "elements": 1 << 16},
        "timeouts": {"ready_s": READY_S, "drain_s": 5, "stop_s": 10},
        "auth": None,
    }


def _wait_until_ready(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            ask._fetch(f"{url}/v2/health/ready")
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"the server did not become ready:\n{log.read_text()}")


def test_all_flights_of_the_data_are_accounted_for() -> None:
    whole = flights.load(flights.data_folder())
    assert len(whole.table) + sum(whole.set_aside.values()) == 336_776
    assert whole.set_aside == {"cancelled or diverted": 9_430, "without weather": 764}


def test_features_are_known_before_departure(some: flights.Flights) -> None:
    assert not {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"} & set(some.features.columns)
    assert not some.features.isna().any().any()


def test_the_weather_is_that_of_an_earlier_hour(some: flights.Flights) -> None:
    weather = pd.read_csv(flights.data_folder() / "weather.csv").set_index(["origin", "time_hour"])
    checked = 0
    for _, flight in some.table.iloc[::100].iterrows():
        hour_before = (flight["departure"] - pd.Timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        if (flight["origin"], hour_before) in weather.index:
            observed = weather.loc[(flight["origin"], hour_before)]
            assert flight["temp"] == pytest.approx(observed["temp"]), flight["time_hour"]
            checked += 1
    assert checked > 50


def test_late_is_more_than_fifteen_minutes(some: flights.Flights) -> None:
    assert (some.late == (some.table["arr_delay"] >= 16)).all()


def test_training_and_test_months_do_not_meet(some: flights.Flights) -> None:
    assert some.months(1, 9).table["departure"].max() < some.months(10, 12).table["departure"].min()


def test_the_onnx_model_answers_as_the_trained_one(some: flights.Flights) -> None:
    pipeline = train.fit(some.months(1, 9))
    test = some.months(10, 12).features
    unknown = test.head(5).assign(carrier="??", dest="ZZZ")
    for features in (test, unknown):
        served = train.predict(train.convert(pipeline), features)
        np.testing.assert_allclose(served, pipeline.predict_proba(features)[:, 1], atol=1e-6)


def test_the_model_beats_the_base_rate(trained: Path) -> None:
    test = json.loads((trained / "models" / "delay.metrics.json").read_text())["test"]
    assert test["log_loss"] < test["log_loss_of_base_rate"]
    assert test["roc_auc"] > 0.6


def test_the_model_is_self_contained_and_has_one_input_per_feature(trained: Path) -> None:
    path = trained / "models" / "delay.onnx"
    model = onnx.load(path, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert tuple(value.name for value in model.graph.input) == flights.FEATURES
    assert [value.name for value in model.graph.output] == ["label", "probability"]
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert path.stat().st_size < 5_000_000


def test_the_same_data_gives_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    program = f"import train, pathlib; train.train(pathlib.Path({str(tmp_path)!r}), {EVERY})"
    # Two seeds whose sets of two differ in order: one of them differs from this process'.
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(EXAMPLE)}
        subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=120)
        for name in ("models/delay.onnx", "models/delay.metrics.json", "data/flights.json"):
            assert (tmp_path / name).read_bytes() == (trained / name).read_bytes(), (seed, name)


def test_a_flight_that_was_late_is_among_those_asked_about(trained: Path) -> None:
    asked = json.loads((trained / "data" / "flights.json").read_text())
    assert len(asked) == 12
    assert sum(flight["arrived_late_min"] > ask.LATE_MIN for flight in asked) == 3
    assert all(flight["departure"] >= "2013-10" for flight in asked)


def test_what_is_shown_is_what_the_model_says(url: str, trained: Path) -> None:
    asked = json.loads((trained / "data" / "flights.json").read_text())
    lines = ask.ask(url, asked)
    session_inputs = pd.DataFrame([flight["inputs"] for flight in asked])
    session_inputs = session_inputs.astype(dict.fromkeys(flights.TEXTS, "object"))
    session_inputs = session_inputs.astype(dict.fromkeys(flights.WEATHER, "float32"))
    expected = train.predict((trained / "models" / "delay.onnx").read_bytes(), session_inputs)
    rows = lines[4 : 4 + len(asked)]
    for row, flight, probability in zip(rows, asked, expected, strict=True):
        assert row.startswith(flight["flight"])
        assert f" {probability:.0%} " in row
        assert ("LATE" in row) == (flight["arrived_late_min"] > 15)
    assert any(line.startswith("13 requests answered") for line in lines)


def test_the_answer_fits_a_terminal(url: str, trained: Path) -> None:
    asked = json.loads((trained / "data" / "flights.json").read_text())
    prose = [line for line in ask.ask(url, asked) if not line.startswith("  ")]
    assert max(map(len, prose)) <= 80


def test_an_error_of_the_server_is_told(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "flights.json"
    broken.write_text(json.dumps([{"inputs": dict.fromkeys(flights.FEATURES)}]))
    monkeypatch.setattr(ask, "FLIGHTS", broken)
    monkeypatch.setattr(sys, "argv", ["ask.py", url])
    assert ask.main() == 1
    assert "answered 400" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "flights.json"
    empty.write_text("[]")
    monkeypatch.setattr(ask, "FLIGHTS", empty)
    monkeypatch.setattr(sys, "argv", ["ask.py", "http://127.0.0.1:1"])
    assert ask.main() == 1
    assert "does not answer" in capsys.readouterr().err


def test_ask_needs_nothing_but_python() -> None:
    program = "import sys; import ask; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(EXAMPLE)!r}); {program}"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pandas", "bedplate", "httpx"} & set(listed)


def test_the_edge_that_ask_reads_is_the_objective_of_the_spec() -> None:
    spec = yaml.safe_load((EXAMPLE / "bedplate.yaml").read_text())
    assert spec["serving"]["delay"]["slo"]["p95"] == f"{ask.SLO_P95_S * 1000:.0f}ms"


def test_the_modeline_names_the_schema_that_every_command_writes() -> None:
    first = (EXAMPLE / "bedplate.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=./.bedplate/bedplate.schema.json"
