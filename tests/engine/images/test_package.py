"""bedplate as a wheel, made of what runs."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bedplate.engine.images import package, wheels
from bedplate.errors import EngineError
from bedplate.image import EPOCH
from bedplate.version import __version__


def test_two_are_the_same_bytes_and_time_is_part_of_them() -> None:
    assert package.wheel(EPOCH) == package.wheel(EPOCH)
    assert package.wheel(EPOCH)[1] != package.wheel(EPOCH + 86400)[1]


def test_its_record_holds_every_file() -> None:
    with zipfile.ZipFile(io.BytesIO(package.wheel(EPOCH)[1])) as archive:
        record = f"bedplate-{__version__}.dist-info/RECORD"
        rows = list(csv.reader(io.StringIO(archive.read(record).decode())))
        assert {row[0] for row in rows} == set(archive.namelist())
        for name, digest, size in rows[:-1]:
            data = archive.read(name)
            found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={found}", str(len(data))), name
    assert rows[-1] == [record, "", ""]


def test_it_holds_the_server_and_no_data_of_the_compiler() -> None:
    with zipfile.ZipFile(io.BytesIO(package.wheel(EPOCH)[1])) as archive:
        names = archive.namelist()
        metadata = archive.read(f"bedplate-{__version__}.dist-info/METADATA").decode()
    assert "bedplate/runtime/server/__main__.py" in names
    assert not [name for name in names if "/_data/" in name or name.endswith(".pyc")]
    assert "Requires-Dist: starlette" in metadata
    assert metadata.startswith(f"Metadata-Version: 2.1\nName: bedplate\nVersion: {__version__}\n")


def test_what_it_is_installed_as_runs(tmp_path: Path) -> None:
    """By its own path alone: nothing of the checkout is in reach."""
    with zipfile.ZipFile(io.BytesIO(package.wheel(EPOCH)[1])) as archive:
        archive.extractall(tmp_path)
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
    script += "import bedplate.runtime.health as health; print(health.__file__)"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith(str(tmp_path))


def test_an_installation_of_another_version_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "__version__", "99.0.0")
    with pytest.raises(EngineError, match=r"99\.0\.0 runs"):
        package.wheel(EPOCH)


def test_every_python_that_is_supported_has_a_lock() -> None:
    assert wheels.pythons() == ["3.11", "3.12", "3.13"]


def test_what_pip_is_told_is_each_wheel_by_its_hash() -> None:
    told = wheels.requirements(
        [("b_c-2.0-cp311-cp311-linux_x86_64.whl", "22"), ("a-1-py3-none-any.whl", "11")]
    )
    assert told == "a==1 --hash=sha256:11\nb_c==2.0 --hash=sha256:22\n"
