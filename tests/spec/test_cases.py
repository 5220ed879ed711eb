from __future__ import annotations

import re
from pathlib import Path

import pytest

from bedplate._resources import resource
from bedplate.cli.project import check_file
from bedplate.diagnostics import ordered
from bedplate.report import as_text
from tests.spec.cases import Case, all_cases

CASES = all_cases()
PACKAGE = Path(__file__).parents[2] / "framework" / "bedplate"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, tmp_path: Path, update: bool) -> None:
    projects, diagnostics = check_file(case.copy(tmp_path))

    said = (
        as_text(diagnostics, colour=False, width=100)
        if diagnostics
        else f"valid in {', '.join(sorted(projects))}"
    )
    if update:
        case.expected.write_text(said + "\n", encoding="utf-8")
    assert said + "\n" == case.expected.read_text(encoding="utf-8")
    assert all(d.span is not None for d in diagnostics)
    assert diagnostics == ordered(diagnostics)


def codes_in_the_source() -> set[str]:
    return {code for path in PACKAGE.rglob("*.py") for code in re.findall(r'"(BP\d{3})"', path.read_text())}


def test_every_code_has_a_case() -> None:
    seen = {code for case in CASES for code in re.findall(r"\[(BP\d{3})\]:", case.expected.read_text())}

    assert codes_in_the_source() - seen == set()


def test_every_code_has_an_explanation_and_every_explanation_a_code() -> None:
    explained = {page.stem for page in resource("specs", "diagnostics").glob("*.md")}

    assert explained == codes_in_the_source()


@pytest.mark.parametrize("code", sorted(codes_in_the_source()))
def test_an_explanation_has_its_three_parts(code: str) -> None:
    page = resource("specs", "diagnostics", f"{code}.md").read_text(encoding="utf-8")

    assert re.match(rf"# {code}: \S.+\n\n\S", page)
    assert "\n## What to do\n\n" in page
