"""What a person sees who writes a spec in an editor: by the real yaml-language-server over the schema that
bedplate writes beside the spec.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from lsprotocol import types

from bedplate.cli import run
from bedplate.sections import SECTIONS
from bedplate.spec.frame import EnvironmentSpec, Frame
from tests.editor.language_server import LanguageServer
from tests.spec.cases import MODEL, all_cases

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/bedplate.yaml"))
MODELINE = "# yaml-language-server: $schema=./.bedplate/bedplate.schema.json\n"
HEAD = "version: 1\nproject: flights\n"
SERVING = HEAD + "serving:\n  delay:\n    "
ENVIRONMENT = HEAD + "environments:\n  prod:\n    "
OVERRIDE = ENVIRONMENT + "override:\n      serving:\n        delay:\n          "
DEFAULTS = HEAD + "defaults:\n  serving:\n    "
HERE = "|"
# What is left to the person: the document is not whole before it is there.
BLANK = re.compile(r"\$\d|\$\{\d+\}")


@dataclass(frozen=True)
class Place:
    """Where the cursor is in an open document; both numbers count from 0."""

    path: Path
    line: int
    character: int


@dataclass(frozen=True)
class Editor:
    """An editor on a project's folder. In a text, | is the cursor."""

    server: LanguageServer
    folder: Path
    numbers: Iterator[int]

    def write(self, text: str) -> Place:
        before, _, after = (MODELINE + text).partition(HERE)
        path = self.folder / f"spec{next(self.numbers)}.yaml"
        self.server.open(path, before + after)
        return Place(path, before.count("\n"), len(before) - before.rfind("\n") - 1)

    def offered(self, text: str) -> dict[str, types.CompletionItem]:
        place = self.write(text)
        return {item.label: item for item in self.server.complete(place.path, place.line, place.character)}

    def shown(self, text: str) -> str:
        place = self.write(text)
        return self.server.hover(place.path, place.line, place.character)


@pytest.fixture(scope="module")
def server() -> Iterator[LanguageServer]:
    server = LanguageServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def editor(server: LanguageServer, tmp_path_factory: pytest.TempPathFactory) -> Editor:
    """In a project where nothing has happened but one `bedplate validate`."""
    folder = tmp_path_factory.mktemp("flights")
    shutil.copy(MODEL, folder / "delay.onnx")
    spec = MODELINE + HEAD + "models: {delay: {path: delay.onnx}}\nserving: {delay: {}}\n"
    (folder / "bedplate.yaml").write_text(spec)
    assert run(["-C", str(folder), "validate"]) == 0
    return Editor(server, folder, count())


def short(value: object) -> str:
    """The end of a text, as the name of its test: the same in every process."""
    return str(sorted(value) if isinstance(value, set) else value).rstrip().rpartition("\n")[2].strip()[:40]


def words_of(item: types.CompletionItem) -> str:
    found = item.documentation
    return found.value if isinstance(found, types.MarkupContent) else found or ""


def inserted(item: types.CompletionItem) -> str:
    """What stands there when somebody takes what is offered, and fills in nothing."""
    return re.sub(r"\$\{\d+:([^}]*)\}|\$\{?\d+\}?", r"\1", item.insert_text or item.label)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (HERE, {*Frame.model_fields, *SECTIONS}),
        (SERVING + HERE, {*SECTIONS["serving"].Model.model_fields}),
        (HEAD + "models:\n  delay:\n    " + HERE, {*SECTIONS["models"].Model.model_fields}),
        (ENVIRONMENT + HERE, {*EnvironmentSpec.model_fields}),
        (OVERRIDE + HERE, {*SECTIONS["serving"].Model.model_fields}),
        (DEFAULTS + HERE, {*SECTIONS["serving"].Model.model_fields}),
        (SERVING + "rollout:\n      canary:\n        - " + HERE, {"weight", "hold"}),
        (HEAD + "serving: {delay: {slo: {p|}}}\n", {"p95", "error_rate"}),
    ],
    ids=short,
)
def test_every_field_is_offered_with_its_description(editor: Editor, text: str, fields: set[str]) -> None:
    offered = editor.offered(text)
    assert fields <= offered.keys()
    for name in fields:
        assert re.search(r"\S.*\.\n\n.*Since \d", words_of(offered[name]), re.DOTALL), name


def test_a_field_that_is_there_is_not_offered_again(editor: Editor) -> None:
    assert "replicas" not in editor.offered(SERVING + "replicas: 2\n    " + HERE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SERVING + "runtime: |", ["bedplate", "container"]),
        (SERVING + "autoscaling:\n      metric: |", ["cpu", "memory", "concurrency", "rps"]),
        (ENVIRONMENT + "target: |", ["local", "kubernetes"]),
        (ENVIRONMENT + "mode: |", ["development", "production"]),
        (ENVIRONMENT + "abstract: |", ["false", "true"]),
        (HEAD + "models:\n  delay:\n    format: |", ["onnx", "torchscript", "savedmodel"]),
        (OVERRIDE + "runtime: |", ["bedplate", "container", "null"]),
        ("version: |", ["1"]),
    ],
    ids=short,
)
def test_the_words_of_a_field_are_offered(editor: Editor, text: str, words: list[str]) -> None:
    assert sorted(editor.offered(text)) == sorted(words)


@pytest.mark.parametrize(
    ("text", "label", "snippet"),
    [
        (SERVING + HERE, "autoscaling", "min: 3\n  max: 20\n  metric: cpu\n  target: 70"),
        (SERVING + HERE, "tests", "tests:\n  - request: \n    expect: "),
        (SERVING + HERE, "slo", "p95: 100ms\n  error_rate: 0.1%"),
        (SERVING + "rollout:\n      " + HERE, "canary", "canary:\n  - weight: \n    hold: "),
        (SERVING + "rollout:\n      " + HERE, "example", "canary:\n  - weight: 5%\n    hold: 1h\ngates:\n"),
        (HEAD + "serving:\n  " + HERE, "delay", "delay:\n  model: delay"),
        (HEAD + "models:\n  one: {path: a.onnx}\n  " + HERE, "delay", "delay:\n  path: models/delay.onnx"),
        (HEAD + "environments:\n  " + HERE, "local", "local:\n  target: local"),
        (HEAD + HERE, "models", "delay:\n    path: models/delay.onnx"),
        (ENVIRONMENT + HERE, "kubernetes", "context: staging\n  namespace: flights-staging"),
    ],
    ids=short,
)
def test_taking_what_is_offered_writes_what_must_be_there(
    editor: Editor, text: str, label: str, snippet: str
) -> None:
    item = editor.offered(text)[label]
    assert item.insert_text_format == types.InsertTextFormat.Snippet
    assert snippet in inserted(item)


@pytest.mark.parametrize(
    "text", [SERVING, OVERRIDE, ENVIRONMENT, DEFAULTS, HEAD + "models:\n  delay:\n    "], ids=short
)
def test_what_is_offered_is_also_accepted(editor: Editor, text: str) -> None:
    last = text.rpartition("\n")[2]
    written = {}
    for label, item in editor.offered(text + HERE).items():
        lines = inserted(item).rstrip().split("\n")
        if not BLANK.search(item.insert_text or "") and not lines[-1].endswith(":"):
            needed = "" if label == "path" or "models:" not in text else "path: a.onnx\n" + last
            written[label] = editor.write(text + needed + f"\n{last}".join(lines) + "\n")
    assert len(written) > 2
    told = {
        label: editor.server.problems(place.path) for label, place in written.items() if label != "mlflow"
    }
    assert {label: [d.message for d in found] for label, found in told.items() if found} == {}


REPLICAS = "How many of it there are. Left out: 1 on this machine, 3 on a cluster."
STARTUP = "How long a replica may take from its start until it is ready."


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (SERVING + "re|plicas: 3\n", ["a whole number", REPLICAS, "Since 0.1", "Example:\n\n```yaml\n3\n"]),
        (SERVING + "probes: {st|artup: 3s}\n", ["a duration", STARTUP, "Default: `60s`", "Since", "\n5m\n"]),
        (
            SERVING + "run|time: bedplate\n",
            ["Default: `bedplate`", "Allowed Values", "* `container`", "Since"],
        ),
        (
            SERVING + "runtime: bed|plate\n",
            ["`container`: a container of yours", "Default: `bedplate`", "Since 0.1"],
        ),
        (SERVING + "s|lo: {p95: 1s}\n", ["a mapping", "objectives", "p95: 100ms\nerror_rate: 0.1%", "Since"]),
        (SERVING + "rollout: {canary: [{we|ight: 5%, hold: 1h}]}\n", ["a percentage", "Required", "\n5%\n"]),
        (SERVING + "te|sts: []\n", ["a list", "Left out: none.", "- request: tests/late.json", "Since 0.1"]),
        (HEAD + "serving: {de|lay: {replicas: 1}}\n", ["A server of models"]),
        (
            HEAD + "ser|ving: {delay: {replicas: 1}}\n",
            ["A server of models", "Left out", "Since", "model: d"],
        ),
        (HEAD + "en|vironments: {local: {}}\n", ["Where the project runs.", "Since 0.1", "target: local"]),
        (HEAD + "time|zone: UTC\n", ["a time zone", "Default: `UTC`", "Since 0.1", "\nEurope/Berlin\n"]),
        (
            ENVIRONMENT + "kub|ernetes: {context: a, namespace: b}\n",
            ["The cluster", "Left out", "context: st"],
        ),
        (OVERRIDE + "re|plicas: 3\n", ["a whole number", REPLICAS, "Since 0.1", "\n3\n"]),
        (OVERRIDE + "s|lo: {p95: 1s}\n", ["a mapping", "objectives", "Since 0.1", "p95: 100ms"]),
        (DEFAULTS + "slo: {p|95: 1s}\n", ["a duration", "95 of 100", "Since 0.1", "\n100ms\n"]),
        ("ver|sion: 1\nproject: flights\n", ["Required", "Since 0.1", "* `1`"]),
    ],
    ids=short,
)
def test_pointing_at_a_field_shows_what_it_is(editor: Editor, text: str, parts: list[str]) -> None:
    shown = editor.shown(text)
    assert [part for part in parts if part not in shown] == [], shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SERVING + "|replcas: 1\n", "Property replcas is not allowed"),
        (SERVING + "slo: {p95: 1s, |p96: 3s}\n", "Property p96 is not allowed"),
        (OVERRIDE + "|replcas: 1\n", "Property replcas is not allowed"),
        (HEAD + "|servng: {}\n", "Property servng is not allowed"),
        (SERVING + "runtime: |triton\n", '"bedplate", "container"'),
        (ENVIRONMENT + "target: |kubernets\n", '"local", "kubernetes"'),
        ("version: |2\nproject: flights\n", "1"),
        (SERVING + 'replicas: |"3"\n', "integer"),
        (SERVING + "slo: {p95: |10}\n", "string"),
        (SERVING + "slo: {p95: |10 s}\n", "expected a duration, such as"),
        (SERVING + "resources: |3\n", "a mapping"),
        (SERVING + "tests: |{}\n", "array"),
        (OVERRIDE + "replicas: |many\n", "integer, null"),
        (SERVING + "replicas: |65\n", "64"),
        (SERVING + "rollout: {canary: [|{weight: 5%}]}\n", "hold"),
        ("version: 1\nproject: |Flights\n", "expected a name"),
        (HEAD + "serving:\n  |Delay: {}\n", "a lower-case letter, then"),
        (HEAD + "serving:\n  delay:|\n", "a mapping"),
        (HEAD + "models: {|delay: {}}\n", "say one of path, mlflow"),
        (HEAD + 'models: {a: {|path: a.onnx, mlflow: "models:/a@b"}}\n', "cannot both be said"),
        (SERVING + "replicas: 1\n    |autoscaling: {min: 1, max: 3, target: 7}\n", "cannot both be said"),
        (SERVING + "expose: {auth: {api_key: |hunter2}}\n", "secret"),
    ],
    ids=short,
)
def test_a_slip_is_underlined_where_it_is(editor: Editor, text: str, message: str) -> None:
    place = editor.write(text)
    (problem,) = editor.server.problems(place.path)
    assert problem.severity == types.DiagnosticSeverity.Error
    assert (problem.range.start.line, problem.range.start.character) == (place.line, place.character)
    assert message in problem.message


def test_several_slips_are_underlined_on_their_lines(editor: Editor) -> None:
    place = editor.write(SERVING + "replcas: 1\n    runtime: triton\n    tests: 3\nmodel: {}\n")
    assert sorted(d.range.start.line for d in editor.server.problems(place.path)) == [5, 6, 7, 8]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_nothing_is_underlined_in_an_example(editor: Editor, example: Path) -> None:
    text = example.read_text()
    assert text.startswith(MODELINE)
    place = editor.write(text.removeprefix(MODELINE))
    assert editor.server.problems(place.path) == []


def test_nothing_is_underlined_in_what_is_valid(editor: Editor) -> None:
    valid = [case for case in all_cases() if "valid in" in (case.folder / "expect.txt").read_text()]
    assert len(valid) > 15
    written = {case.name: editor.write((case.folder / "bedplate.yaml").read_text()) for case in valid}
    told = {name: editor.server.problems(place.path) for name, place in written.items()}
    assert {name: [d.message for d in found] for name, found in told.items() if found} == {}
