"""The documents that are mutated: together they write every field of the grammar, each is valid.

A document is a folder of specs/ with a bedplate.yaml, and what it includes. Each gets the model delay.onnx.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bedplate.cli.project import check_file
from bedplate.diagnostics import Diagnostic
from tests.spec.cases import MODEL
from tests.spec.mutation.mutations import Mutation
from tests.spec.mutation.slots import Slot, place, slots

ROOT = Path(__file__).parent / "specs"
NAMES = sorted(folder.name for folder in ROOT.iterdir())


@dataclass(frozen=True)
class Document:
    """A document in a folder of its own, with the texts of its files."""

    folder: Path
    texts: dict[str, str]

    @classmethod
    def copied(cls, name: str, to: Path) -> Document:
        folder = to / "project"
        shutil.copytree(ROOT / name, folder)
        shutil.copy(MODEL, folder)
        files = [folder / "bedplate.yaml", *folder.glob("teams/*.yaml")]
        return cls(folder, {str(file.relative_to(folder)): file.read_text() for file in files})

    def slots(self) -> Iterator[tuple[str, Slot]]:
        """Every slot, after the file that it is in."""
        for file, text in self.texts.items():
            for slot in slots(text):
                yield file, slot

    def check(self) -> tuple[Diagnostic, ...]:
        return check_file(self.folder / "bedplate.yaml")[1]

    def check_with(self, file: str, text: str) -> tuple[Diagnostic, ...]:
        """What is wrong with the document when one of its files has another text."""
        (self.folder / file).write_text(text)
        try:
            return self.check()
        finally:
            (self.folder / file).write_text(self.texts[file])

    def missed(self, file: str, mutation: Mutation) -> tuple[tuple[Diagnostic, ...], str | None]:
        """What is said of a mutation; and why that is not one error at its place, if it is not."""
        found = self.check_with(file, mutation.text)
        line, column = place(mutation.text, mutation.at)
        places = [(d.span.file, d.span.line, d.span.column) if d.span else None for d in found]
        if places == [(file, line, column)]:
            return found, None
        said = [f"{d.code} {d.message} at {place}" for d, place in zip(found, places, strict=True)]
        return found, f"{mutation.kind} ({mutation.what!r}) at {file}:{line}:{column}: {said or 'nothing'}"
