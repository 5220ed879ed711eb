"""A section is a module and a line in SECTIONS: validate, schema, explain's source and compile follow it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import Field

from bedplate.compiler import check, compile_project
from bedplate.diagnostics import Diagnostic
from bedplate.sections import SECTIONS
from bedplate.spec.load import load_text
from bedplate.spec.model import SpecModel
from bedplate.spec.project import Project
from bedplate.spec.schema import schema
from bedplate.spec.types import NameValue
from bedplate.spec.validate import Validated, validate
from bedplate.workloads import Artifact, Yielded
from tests.spec.cases import all_cases

HEAD = "version: 1\nproject: flights\n"


class Greeting(SpecModel):
    """A greeting."""

    to: NameValue = Field(description="Whom to greet.", examples=["world"])


def greetings() -> ModuleType:
    def check(entries: Mapping[str, Greeting], project: Project) -> Iterator[Diagnostic]:
        for name, entry in entries.items():
            if entry.to == name:
                yield Diagnostic("BP999", "nobody greets himself", ("greetings", name, "to"))

    def compile_(entries: Mapping[str, Greeting], project: Project) -> Iterator[Yielded]:
        for name in sorted(entries):
            yield Artifact(f"greetings.{name}", name, "0" * 64, 1, f"{entries[name].to}.txt")

    section = ModuleType("greetings")
    section.__dict__.update(KEY="greetings", Model=Greeting, files=lambda entries: iter(()), check=check)
    section.__dict__["compile"] = compile_
    return section


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    section: Any = greetings()
    monkeypatch.setitem(SECTIONS, "greetings", section)


def validated(text: str) -> Validated:
    return validate(load_text((HEAD + text).encode(), "bedplate.yaml", Path("/")))


def test_a_new_section_compiles() -> None:
    found = validated("greetings: {hello: {to: world}}\n")
    project = found.projects["local"]

    assert not found.diagnostics
    assert not check(project)
    (resource,) = compile_project(project).graphs["greetings"].resources
    assert resource.properties["path"] == "world.txt"


def test_its_errors_are_located() -> None:
    assert [d.code for d in validated("greetings: {hello: {too: world}}\n").diagnostics] == ["BP020"]
    (problem,) = check(validated("greetings: {hello: {to: hello}}\n").projects["local"])
    assert problem.span is not None
    assert (problem.span.line, problem.span.column) == (3, 25)


def test_it_is_in_the_schema_and_can_be_overridden() -> None:
    whole = schema()["properties"]
    assert isinstance(whole, dict)
    assert str(whole["greetings"]["description"]).startswith("A greeting. ")
    override = "environments: {local: {target: local, override: {greetings: {hello: {to: all}}}}}\n"
    project = validated("greetings: {hello: {to: world}}\n" + override).projects["local"]
    assert project.sections["greetings"]["hello"].to == "all"


def test_every_real_section_has_a_valid_and_an_invalid_case() -> None:
    for section in SECTIONS.keys() - {"greetings"}:
        using = [case for case in all_cases() if f"\n{section}:" in _spec(case.folder)]
        verdicts = {case.expected.read_text().startswith("valid in") for case in using}
        assert verdicts == {True, False}, section


def _spec(folder: Path) -> str:
    spec = folder / "bedplate.yaml"
    return spec.read_bytes().decode("utf-8", "replace") if spec.exists() else ""
