"""The project's identity, for verbs that look at no spec: they read bedplate.lock all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bedplate.engine.identity import identity
from bedplate.errors import StateError
from bedplate.workspace import Workspace


def test_a_lock_that_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "bedplate.lock")
    with pytest.raises(StateError, match=r"bedplate.lock cannot be read: not a regular file"):
        identity(Workspace(tmp_path))
