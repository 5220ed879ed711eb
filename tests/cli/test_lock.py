"""`bedplate lock` on files of the project: what it pins, what it says, what it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from bedplate.cli import run
from bedplate.lockfile import BasePin, ImagePin, LockFile, LockFileError, parse
from tests.e2e.project import multiplier

SPEC = """\
version: 1
project: flights
environments:
  staging: {target: local}
  prod: {target: local}
models:
  delay: {path: delay.onnx, update: lock}
  hub: {path: hub.onnx, update: lock, environments: [prod]}
  free: {path: hub.onnx}
"""


def taking(name: str) -> bytes:
    """A model whose input is called `name`."""
    made = onnx.load_from_string(multiplier(3.0))
    made.graph.input[0].name = made.graph.node[0].input[0] = name
    return bytes(made.SerializeToString())


class Locking:
    """A project, `lock` called on it, and what became of its lock file."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.capsys = root, capsys
        (root / "bedplate.yaml").write_text(SPEC)
        (root / "delay.onnx").write_bytes(multiplier(2.0))
        (root / "hub.onnx").write_bytes(multiplier(3.0))

    def __call__(self, *words: str) -> tuple[int, str, str]:
        code = run(["-C", str(self.root), "lock", *words])
        said = self.capsys.readouterr()
        return code, said.out, said.err

    @property
    def file(self) -> Path:
        return self.root / "bedplate.lock"

    @property
    def lock(self) -> LockFile:
        return parse(self.file.read_text())

    @property
    def pins(self) -> dict[str, list[str]]:
        return {name: sorted(pins) for name, pins in self.lock.models.items()}

    def version(self, environment: str, key: str) -> str:
        pin = self.lock.pinned(environment, key)
        assert pin is not None
        return pin.version


@pytest.fixture
def lock(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Locking:
    monkeypatch.setenv("NO_COLOR", "1")
    return Locking(tmp_path, capsys)


def test_all_that_is_locked_is_pinned_in_every_environment_where_it_is(lock: Locking) -> None:
    code, out, _ = lock()

    delay, hub = lock.version("prod", "delay"), lock.version("prod", "hub")
    assert (code, lock.pins) == (0, {"prod": ["delay", "hub"], "staging": ["delay"]})
    assert out.splitlines() == [
        f"  models.delay in staging: (not pinned) -> {delay}",
        f"  models.delay in prod: (not pinned) -> {delay}",
        f"  models.hub in prod: (not pinned) -> {hub}",
        "3 moved",
    ]
    assert run(["-C", str(lock.root), "validate"]) == 0


def test_again_nothing_moves_and_the_file_is_left_alone(lock: Locking) -> None:
    lock()
    text = lock.file.read_text() + "# a note\n"
    lock.file.write_text(text)

    assert lock() == (0, "nothing to move: what is pinned is what there is\n", "")
    assert lock("--check") == (0, "nothing to move: what is pinned is what there is\n", "")
    assert json.loads(lock("--json")[1]) == {"moved": []}
    assert lock.file.read_text() == text


def test_where_nothing_is_locked_no_file_is_written(lock: Locking) -> None:
    (lock.root / "bedplate.yaml").write_text("version: 1\nproject: flights\n")

    assert lock()[0] == 0
    assert not lock.file.exists()


def test_check_changes_nothing_and_exits_with_1_when_a_pin_would_move(lock: Locking) -> None:
    code, out, _ = lock("--check")
    assert (code, out.splitlines()[-1]) == (1, "3 moved")
    assert not lock.file.exists()

    lock()
    text = lock.file.read_text()
    (lock.root / "delay.onnx").write_bytes(multiplier(5.0))
    code, out, _ = lock("--check")
    assert (code, out.splitlines()[-1]) == (1, "2 moved")
    assert lock.file.read_text() == text


def test_one_model_or_one_environment_alone(lock: Locking) -> None:
    assert lock("hub")[0] == 0
    assert lock.pins == {"prod": ["hub"]}
    assert lock("--env", "staging")[0] == 0
    assert lock.pins == {"prod": ["hub"], "staging": ["delay"]}
    assert lock("delay", "--env", "prod")[0] == 0
    assert lock.pins == {"prod": ["delay", "hub"], "staging": ["delay"]}


def test_the_answer_as_json_says_what_moved_and_what_breaks_callers(lock: Locking) -> None:
    lock()
    before = lock.version("prod", "hub")
    (lock.root / "hub.onnx").write_bytes(taking("z"))

    code, out, err = lock("--json")
    after = lock.lock.pinned("prod", "hub")
    assert after is not None
    assert (code, err) == (0, "")
    (move,) = json.loads(out)["moved"]
    assert (move["environment"], move["model"]) == ("prod", "hub")
    assert (move["before"], move["after"], move["sha256"]) == (before, after.version, after.sha256)
    assert move["breaking"] == ["it takes a new input, z FP32 [-1, 1]", "the input x is gone"]


def test_what_breaks_callers_is_said_in_the_text_too(lock: Locking) -> None:
    lock()
    (lock.root / "hub.onnx").write_bytes(taking("z"))

    lines = lock()[1].splitlines()
    assert lines[1:] == [
        "      callers may fail: it takes a new input, z FP32 [-1, 1]",
        "      callers may fail: the input x is gone",
        "1 moved",
    ]


def test_pins_of_what_the_spec_no_longer_has_go(lock: Locking) -> None:
    lock()
    versions = {key: lock.version("prod", key) for key in ("delay", "hub")}
    changed = SPEC.replace("  staging: {target: local}\n", "").replace("hub.onnx, update: lock", "hub.onnx")
    (lock.root / "bedplate.yaml").write_text(changed)

    code, out, _ = lock("--check")
    assert code == 1
    assert out.splitlines() == [
        f"  models.hub in prod: {versions['hub']} -> (no longer pinned)",
        f"  models.delay in staging: {versions['delay']} -> (no longer pinned)",
        "2 moved",
    ]
    assert lock("delay")[1].startswith("nothing to move")  # only what was asked for
    assert lock("--env", "prod")[1].startswith("nothing to move")
    assert lock.pins == {"prod": ["delay", "hub"], "staging": ["delay"]}

    moved = json.loads(lock("--json")[1])["moved"]
    assert [(m["environment"], m["model"], m["after"], m["sha256"]) for m in moved] == [
        ("prod", "hub", None, None),
        ("staging", "delay", None, None),
    ]
    assert lock.pins == {"prod": ["delay"]}


def test_what_else_the_file_holds_is_kept(lock: Locking) -> None:
    lock.file.write_text(
        "version: 1\nidentity: abc\nshards: {prod: {serving: 4}}\nimages: {prod: {delay: 'sha256:1', hub: "
        "{digest: 'sha256:2', base: {name: python, platform: linux/amd64, id: 'sha256:3', digests: ['sha256:4']}}}}\n"
    )
    lock()

    assert lock.lock.identity == "abc"
    assert lock.lock.shards == {"prod": {"serving": 4}}
    base = BasePin("python", "linux/amd64", "sha256:3", ("sha256:4",))
    assert lock.lock.images["prod"] == {
        "delay": ImagePin("sha256:1"),
        "hub": ImagePin("sha256:2", base=base),
    }


@pytest.mark.parametrize("base", ["python", "{name: python}", "{name: a, platform: b, id: c, digests: d}"])
def test_a_base_is_told_in_full(base: str) -> None:
    with pytest.raises(LockFileError):
        parse(f"version: 1\nimages: {{prod: {{delay: {{digest: 'sha256:1', base: {base}}}}}}}\n")


@pytest.mark.parametrize(
    ("words", "said", "help_text"),
    [
        (["dealy"], "there is no model 'dealy' in the spec", "did you mean delay?"),
        (["zzz"], "there is no model 'zzz' in the spec", "there are: delay, free, hub"),
        (["--env", "prd"], "there is no environment 'prd' in the spec", "did you mean 'prod'?"),
        (["--env", "zzz"], "there is no environment 'zzz' in the spec", "there are: prod, staging"),
        (["hub", "--env", "staging"], "there is no model 'hub' in staging", "it exists in prod"),
        (["free"], "the model 'free' is not locked", "update: lock"),
    ],
)
def test_a_name_of_nothing_is_refused_with_what_was_meant(
    words: list[str], said: str, help_text: str, lock: Locking
) -> None:
    code, out, err = lock(*words)

    assert (code, out) == (2, "")
    assert said in err
    assert help_text in err
    assert not lock.file.exists()


def test_a_spec_that_does_not_hold_pins_nothing(lock: Locking) -> None:
    (lock.root / "bedplate.yaml").write_text(SPEC.replace("delay.onnx", "dealy.onnx"))
    code, _, err = lock()

    assert code == 1
    assert "did you mean delay.onnx?" in err
    assert not lock.file.exists()


def test_a_damaged_file_is_left_as_it_is(lock: Locking) -> None:
    lock.file.write_text("<<<<<<< HEAD\nversion: 1\n")
    code, _, err = lock()

    assert code == 1
    assert "BP114" in err
    assert lock.file.read_text() == "<<<<<<< HEAD\nversion: 1\n"
