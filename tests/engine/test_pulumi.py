"""Engines that work are noted by their process ids; the note of one that was killed stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bedplate.engine.pulumi import Pulumi


def engine(folder: Path, script: str) -> Pulumi:
    path = folder / "pulumi"
    path.write_text(f'#!/bin/sh\necho $$; ls "{folder}/runs"\n{script}\n')
    path.chmod(0o755)
    return Pulumi(path, dict(os.environ), runs=folder / "runs")


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -9)])
@pytest.mark.parametrize("way", ["call", "operate"])
def test_what_did_not_end_by_itself_stays_noted(way: str, script: str, code: int, tmp_path: Path) -> None:
    pulumi = engine(tmp_path, script)
    ended = pulumi.call(tmp_path, "x") if way == "call" else pulumi.operate(tmp_path, "x")
    pid = int(ended.text.split()[0])
    assert ended.code == code
    assert pulumi.has_run(pid) is (code < 0)
    pulumi.forget_run(pid)
    assert not pulumi.has_run(pid)
