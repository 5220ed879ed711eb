"""`bedplate lock` and a real MLflow server: what an alias means is pinned, and what goes wrong is said."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedplate.cli import run
from bedplate.cli.project import open_project
from bedplate.lockfile import Pin, parse
from tests.e2e.project import UserProject, multiplier
from tests.engine.mlflow_registry import EMPTY, FACTORS, NAME, Registry, serving
from tests.ports import free_port

# The client's own, of itself and of what it is made of.
pytestmark = pytest.mark.filterwarnings("ignore")

SPEC = """\
version: 1
project: flights
environments:
  prod: {{target: local, mlflow: {{tracking_uri: "{uri}"}}}}
models:
  delay: {{mlflow: "{model}", update: {update}}}
serving: {{delay: {{}}}}
"""
SHA256 = {str(n): hashlib.sha256(multiplier(factor)).hexdigest() for n, factor in enumerate(FACTORS, 1)}
UNKNOWN = "the registry answers, and does not know it"
UNREACHED = "look whether this is the address of an MLflow server"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with serving(tmp_path_factory.mktemp("mlflow")) as found:
        yield found


class Asking:
    """A project with one model of the registry."""

    def __init__(self, root: Path, registry: Registry) -> None:
        self.root, self.registry = root, registry
        self.write(f"models:/{NAME}@champion")

    def write(self, model: str, *, uri: str | None = None, update: str = "lock") -> None:
        spec = SPEC.format(uri=uri or self.registry.uri, model=model, update=update)
        (self.root / "bedplate.yaml").write_text(spec)

    def verb(self, *words: str) -> int:
        return run(["-C", str(self.root), *words])

    @property
    def file(self) -> Path:
        return self.root / "bedplate.lock"

    @property
    def pin(self) -> Pin | None:
        return parse(self.file.read_text()).pinned("prod", "delay")


@pytest.fixture
def asking(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Asking:
    monkeypatch.setenv("NO_COLOR", "1")
    return Asking(tmp_path, registry)


def test_an_alias_is_pinned_as_the_version_and_the_bytes_that_it_means(
    asking: Asking, capsys: pytest.CaptureFixture[str]
) -> None:
    asking.registry.alias("pinned", "1")
    asking.write(f"models:/{NAME}@pinned")

    assert asking.verb("validate") == 1
    assert "bedplate lock delay --env prod" in capsys.readouterr().err
    assert asking.verb("lock") == 0
    assert capsys.readouterr() == ("  models.delay in prod: (not pinned) -> 1\n1 moved\n", "")
    pin = asking.pin
    assert pin is not None
    assert (pin.version, pin.sha256, pin.source) == ("1", SHA256["1"], f"models:/{NAME}/1")
    assert pin.signature is not None
    assert [str(tensor) for tensor in pin.signature.inputs] == ["x FP32 [-1, 1]"]
    assert asking.verb("validate") == 0


def test_an_alias_that_moved_is_seen_by_check_and_pinned_by_lock(
    asking: Asking, capsys: pytest.CaptureFixture[str]
) -> None:
    asking.registry.alias("moving", "1")
    asking.write(f"models:/{NAME}@moving")
    assert asking.verb("lock") == 0
    assert asking.verb("lock", "--check") == 0
    asking.registry.alias("moving", "2")
    before = asking.file.read_text()
    capsys.readouterr()

    assert asking.verb("lock", "--check") == 1
    assert capsys.readouterr() == ("  models.delay in prod: 1 -> 2\n1 moved\n", "")
    assert asking.file.read_text() == before
    assert asking.verb("validate") == 0  # what is pinned is what counts
    capsys.readouterr()

    assert asking.verb("lock", "--json") == 0
    (move,) = json.loads(capsys.readouterr().out)["moved"]
    assert (move["before"], move["after"], move["sha256"]) == ("1", "2", SHA256["2"])
    assert asking.verb("lock", "--check") == 0


def test_a_version_is_pinned_whatever_the_aliases_are(asking: Asking) -> None:
    asking.write(f"models:/{NAME}/2")

    assert asking.verb("lock") == 0
    assert asking.pin is not None
    assert (asking.pin.version, asking.pin.sha256) == ("2", SHA256["2"])


def test_an_alias_that_is_the_truth_is_asked_for_and_never_pinned(
    asking: Asking, capsys: pytest.CaptureFixture[str]
) -> None:
    asking.registry.alias("followed", "1")
    asking.write(f"models:/{NAME}@followed", update="auto")

    def compiled() -> str:
        return open_project(asking.root, "prod").compiled.graphs["models"].to_json()

    assert asking.verb("compile") == 1  # which asks nobody
    assert "bedplate plan --env prod" in capsys.readouterr().err
    assert SHA256["1"] in compiled()
    asking.registry.alias("followed", "2")
    assert SHA256["2"] in compiled()
    assert asking.verb("compile") == 0
    assert SHA256["2"] in (asking.root / "stacks" / "models" / "graph.prod.json").read_text()
    assert asking.verb("lock") == 0
    assert not asking.file.exists()


@pytest.mark.parametrize(
    ("model", "said", "help_text"),
    [
        (f"models:/{NAME}@nobody", "alias nobody not found", UNKNOWN),
        ("models:/flights-dealy@champion", "Registered Model with name=flights-dealy not found", UNKNOWN),
        (f"models:/{NAME}/9", "version=9) not found", UNKNOWN),
        (f"models:/{NAME}/{EMPTY}", "holds no ONNX files, and one is served", "mlflow.onnx.log_model"),
    ],
)
def test_what_the_registry_does_not_have_pins_nothing(
    model: str, said: str, help_text: str, asking: Asking, capsys: pytest.CaptureFixture[str]
) -> None:
    asking.write(model)

    assert asking.verb("lock") == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {model} ")
    assert said in err
    assert help_text in err
    assert not asking.file.exists()


@pytest.mark.parametrize("where", ["down", "wrong"])
def test_a_server_that_is_none_is_said_within_seconds_and_pins_stay(
    where: str, asking: Asking, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asking.verb("lock") == 0
    before = asking.file.read_text()
    uri = f"http://127.0.0.1:{free_port()}" if where == "down" else f"{asking.registry.uri}/nowhere"
    asking.write(f"models:/{NAME}@champion", uri=uri)
    capsys.readouterr()

    assert asking.verb("lock", "--json") == 4
    answer = json.loads(capsys.readouterr().out)["error"]
    assert f"models:/{NAME}@champion cannot be had from {uri}" in answer["message"]
    assert "<" not in answer["message"]  # of the page that a web server answers with
    assert UNREACHED in answer["hint"]
    assert asking.file.read_text() == before


def test_credentials_are_the_clients_own_and_are_printed_nowhere(
    asking: Asking, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_them = asking.registry.uri.replace("://", "://bob:hunter2hunter2@")
    asking.write(f"models:/{NAME}@champion", uri=with_them)
    assert asking.verb("lock") == 1
    refused = "".join(capsys.readouterr())
    assert "BP110" in refused
    assert "MLFLOW_TRACKING_USERNAME" in refused

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "bob")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2hunter2")
    asking.write(f"models:/{NAME}@nobody")
    assert asking.verb("lock") == 4
    asking.write(f"models:/{NAME}@champion", uri=f"http://127.0.0.1:{free_port()}")
    assert asking.verb("lock") == 4
    assert "hunter2" not in refused + "".join(capsys.readouterr())


def test_the_client_adds_nothing_to_what_is_printed(asking: Asking) -> None:
    project = UserProject(asking.root)
    asked = project.run("lock")

    assert (asked.code, asked.err) == (0, "")
    assert asked.out.splitlines()[-1] == "1 moved"
    assert "nothing to move" in project.ok("lock", "--check").out
