"""The cases: tests/cases/<area>/<name>/ holds a spec and what `bedplate validate` says about it.

A case without bedplate.yaml may make it in make.py (`SPEC`), where it is too big to keep. Each has the model
delay.onnx, which doubles a column of numbers, beside it.
"""

from __future__ import annotations

import runpy
import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1] / "cases"
EXPECTED = "expect.txt"
MODEL = ROOT / "delay.onnx"


@dataclass(frozen=True)
class Case:
    folder: Path

    @property
    def name(self) -> str:
        return str(self.folder.relative_to(ROOT))

    @property
    def expected(self) -> Path:
        return self.folder / EXPECTED

    def copy(self, to: Path) -> Path:
        """The case in a folder of its own; its spec's path."""
        project = to / "project"
        shutil.copytree(self.folder, project)
        if not (project / MODEL.name).exists():
            shutil.copy(MODEL, project)
        maker = project / "make.py"
        if maker.exists():
            (project / "bedplate.yaml").write_text(runpy.run_path(str(maker))["SPEC"])
        return project / "bedplate.yaml"


def all_cases() -> list[Case]:
    folders = {
        path.parent for name in ("bedplate.yaml", "make.py", EXPECTED) for path in ROOT.glob(f"*/*/{name}")
    }
    return [Case(folder) for folder in sorted(folders)]
