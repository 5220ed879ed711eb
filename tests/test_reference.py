"""The reference has every field of the language once, each example of it holds, and each link leads somewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from bedplate._resources import resource
from bedplate.fields import ANY, Field, root
from bedplate.reference import WIDTH, anchor, to_text
from bedplate.sections import SECTIONS
from bedplate.spec.frame import Entries, Frame
from bedplate.spec.load import load
from bedplate.spec.model import LIST, MAPPING, inner, leaf, leaf_of
from bedplate.spec.validate import validate
from tests.spec.test_schema import STRUCTURAL

PAGE = resource("specs", "reference.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)


def of_model(model: type[BaseModel], address: str) -> Iterator[str]:
    """The addresses of a model's fields, from the model itself."""
    for name, field in model.model_fields.items():
        here = f"{address}.{name}".lstrip(".")
        yield here
        found = leaf(field)
        if isinstance(found, Entries) and found.model:
            yield from of_model(found.model, f"{here}.{ANY}")
        holds, held = inner(field.annotation)
        if found is None and leaf_of(held) is None:
            below = inner(held)[1]
            assert isinstance(below, type)
            assert issubclass(below, BaseModel)
            yield from of_model(below, {LIST: here, MAPPING: f"{here}.{ANY}"}.get(holds, here))


def addresses() -> list[str]:
    sections = [a for key, s in SECTIONS.items() for a in (key, *of_model(s.Model, f"{key}.{ANY}"))]
    return [*of_model(Frame, ""), *sections]


def described(address: str) -> Field:
    found = root()
    for part in address.split("."):
        found = found.children()[part]
    return found


def example(address: str) -> Any:
    """The example that stands under the heading of an address."""
    _, _, rest = PAGE.partition(f" `{address}`\n")
    below = re.split(r"^##", rest, maxsplit=1, flags=re.MULTILINE)[0]
    line = re.search(r"^- Example: `(.*)`$", below, re.MULTILINE)
    block = re.search(r"^```yaml\n(.*?)^```$", below, re.MULTILINE | re.DOTALL)
    (shown,) = [match.group(1) for match in (line, block) if match]
    return yaml.safe_load(shown)


def test_the_checked_in_reference_is_fresh() -> None:
    assert to_text() == PAGE, "run `make schema`"


def test_every_field_of_the_language_is_in_it_once() -> None:
    assert Counter(re.findall(r"^##+ `(.*)`$", PAGE, re.MULTILINE)) == Counter(addresses())


@pytest.mark.parametrize("address", ["environments.*.override", "defaults"])
def test_what_repeats_the_sections_leads_to_them(address: str) -> None:
    facts = PAGE.partition(f" `{address}`\n")[2].partition("\n#")[0]
    assert {f"[{key}](#{key})" for key in SECTIONS} <= set(re.findall(r"\[.*?\]\(.*?\)", facts))


def test_links_lead_to_headings_that_are_there_once() -> None:
    anchors = Counter(map(anchor, HEADINGS))
    assert [name for name, count in anchors.items() if count > 1] == []
    targets = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert len(targets) > len(addresses())
    folder = resource("specs")
    for target in targets:
        assert target[1:] in anchors if target.startswith("#") else (folder / target).is_file(), target


def test_every_code_has_its_title_in_it() -> None:
    for page in resource("specs", "diagnostics").glob("*.md"):
        code, title = page.read_text().partition("\n")[0].removeprefix("# ").split(": ", 1)
        assert f"- [{code}](diagnostics/{code}.md): {title}\n" in PAGE


def test_it_is_as_wide_as_other_texts_but_for_links() -> None:
    assert [line for line in PAGE.splitlines() if len(line) > WIDTH and "](" not in line] == []


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("`serving.*.slo.p95`", "servingslop95"),
        ("`environments.*.promotes_from`", "environmentspromotes_from"),
        ("How values are written", "how-values-are-written"),
        ("a name of lower-case letters, digits and -", "a-name-of-lower-case-letters-digits-and--"),
    ],
)
def test_anchors_are_those_of_github(heading: str, name: str) -> None:
    assert anchor(heading) == name


@pytest.mark.parametrize("address", addresses())
def test_the_example_of_a_field_is_a_value_of_it(address: str, tmp_path: Path) -> None:
    name = address.rpartition(".")[2]
    field = described(address)
    assert example(address) == {name: field.examples[0]}

    written = whole(address, field.examples[0])
    (tmp_path / "bedplate.yaml").write_text(yaml.safe_dump(written))
    (tmp_path / "teams").mkdir()
    (tmp_path / "teams" / "hub.yaml").write_text("models: {}\n")
    loaded = load(tmp_path / "bedplate.yaml")
    assert not loaded.diagnostics
    found = [told for told in validate(loaded).diagnostics if told.code in STRUCTURAL]
    assert found == [], written


def whole(address: str, value: object) -> dict[str, Any]:
    """A spec that says this value there, and what else must be there."""
    spec: dict[str, Any] = least(root())
    here, at = spec, root()
    *_, last = parts = address.split(".")
    for part, below in pairwise(parts):
        at = at.children()[part]
        inside = {} if ANY in at.children() else least(at)
        for other in apart(at, below):
            inside.pop(other, None)
        here["delay" if part == ANY else part] = [inside] if "items" in at.whole else inside
        here = inside
    here[last] = value
    return spec


def apart(field: Field, name: str) -> set[str]:
    """The fields that cannot be said together with one."""
    pairs = [*field.not_both, *([field.one_of] if name in field.one_of else [])]
    return {other for pair in pairs if name in pair for other in pair} - {name}


def least(field: Field) -> dict[str, Any]:
    """What must be said in a mapping, or by what it extends, by its examples."""
    children = field.children().items()
    must = [name for name, child in children if child.required or child.absent.startswith("that of the")]
    names = [*must, *field.one_of[:1]]
    return {name: field.children()[name].examples[0] for name in names}
