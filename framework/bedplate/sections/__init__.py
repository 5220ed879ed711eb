"""Sections: one module each, holding its Model (grammar), its check() and its compile().

To add one: its module, a line in SECTIONS, its cases in tests/cases/, the regenerated schema.
Order in SECTIONS is the order of the stacks: a section is applied after those above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel

from bedplate.diagnostics import Diagnostic
from bedplate.inputs import Needed
from bedplate.sections import models, serving
from bedplate.workloads import Yielded

if TYPE_CHECKING:
    from bedplate.spec.project import Project


class Section(Protocol):
    """What a section module provides. `Model` is the grammar of one entry of the section's mapping."""

    @property
    def KEY(self) -> str: ...

    @property
    def Model(self) -> type[BaseModel]: ...

    def files(self, entries: Mapping[str, Any], /) -> Iterator[Needed]:
        """The files that the entries name."""

    def check(self, entries: Mapping[str, Any], project: Project, /) -> Iterator[Diagnostic]:
        """What is wrong across fields and sections."""

    def compile(self, entries: Mapping[str, Any], project: Project, /) -> Iterator[Yielded]:
        """The section's workloads and contributions. Pure."""


class Known(Protocol):
    """A section whose entries are known by more than their fields, which references can name."""

    @property
    def ATTRIBUTES(self) -> tuple[str, ...]:
        """Their names: `version`, for `${models.delay.version}`."""

    def facts(self, entries: Mapping[str, Any], project: Project, /) -> Mapping[tuple[str, str], str]:
        """Their values: (entry, attribute) -> text."""


SECTIONS: dict[str, Section] = {
    "models": models,
    "serving": serving,
}

KNOWN: dict[str, Known] = {
    "models": models,
}
