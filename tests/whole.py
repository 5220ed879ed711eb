"""The projects that come with bedplate whole: the examples, and what `init` makes of its templates.

`examples/flights` is not among them: its model is trained on data that no clone holds.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from bedplate import templates
from tests.spec.cases import Case

REPOSITORY = Path(__file__).resolve().parents[1]
EXAMPLES = ("fleet", "fraud", "pricing")
GENERATED = (".bedplate", "stacks", "__pycache__")


@dataclass(frozen=True)
class Example(Case):
    """One of examples/."""

    @property
    def name(self) -> str:
        return str(self.folder.relative_to(REPOSITORY))

    def copy(self, to: Path) -> Path:
        project = to / "project"
        shutil.copytree(self.folder, project, ignore=shutil.ignore_patterns(*GENERATED))
        return project / "bedplate.yaml"


@dataclass(frozen=True)
class Started(Case):
    """What `init` makes of the template whose folder this is."""

    @property
    def name(self) -> str:
        return str(self.folder.relative_to(REPOSITORY))

    def copy(self, to: Path) -> Path:
        project = to / "project"
        project.mkdir()
        templates.write(project, templates.files(self.folder.name, "my_flowers"))
        return project / "bedplate.yaml"


def whole_projects() -> list[Case]:
    examples = [Example(REPOSITORY / "examples" / name) for name in EXAMPLES]
    return [*examples, *(Started(REPOSITORY / "templates" / name) for name in templates.TEMPLATES)]
