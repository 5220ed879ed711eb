"""`bedplate shards`: what is refused before anything is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.cli import run


@pytest.mark.parametrize("second", ["serving=3", "serving=2"])
def test_a_section_that_is_given_twice(
    second: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["-C", str(tmp_path), "shards", "serving=2", "models=2", second]) == 2
    said = capsys.readouterr().err
    assert "serving is given twice" in said
    assert "say serving=N once" in said
