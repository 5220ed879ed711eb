"""Where finished files go: a folder of this machine, or a bucket that speaks S3.

A file is there as a whole or not at all, under a name that is its own for good, so that bringing it twice is
bringing it once. What is removed is only what has such a name, in partitions that are over for long enough.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

from bedplate.atomic import sync_folder

_OURS = re.compile(r"predictions-[0-9a-f]{16}-[0-9a-f]{8}-[0-9]+\.parquet")
_PARTITION = re.compile(r"date=([0-9]{4}-[0-9]{2}-[0-9]{2})/hour=([0-9]{2})")
_CONNECTS_WITHIN_S, _ANSWERS_WITHIN_S = 5, 30


class Place(Protocol):
    """What the roller needs of a destination. All of it raises OSError."""

    def take(self, file: Path, name: str) -> None:
        """Have the file under the name, and no longer where it was."""

    def forget(self, before: datetime) -> int:
        """Remove what ended before that moment; how many files it was."""


def place(to: str, service: str) -> Place:
    """The place of a service's files."""
    if to.startswith("s3://"):
        return Bucket(f"{to.removeprefix('s3://').rstrip('/')}/{folder_name(service)}")
    return Folder(Path(to).resolve() / folder_name(service))


def folder_name(text: str) -> str:
    """A service's or a model's name as the name of one folder, that is no hidden one."""
    name = quote(text, safe=" ")
    return f"%{ord(name[0]):02X}{name[1:]}" if name[0] in "._" else name


def partition(model: str, moment: datetime) -> str:
    """The folder of a model's hour."""
    return f"{folder_name(model)}/date={moment:%Y-%m-%d}/hour={moment:%H}"


def _ended(folder: str) -> datetime | None:
    """When the hour of a partition's folder was over; None of another folder."""
    found = _PARTITION.fullmatch("/".join(folder.split("/")[-2:]))
    if found is None:
        return None
    with suppress(ValueError):
        return datetime.fromisoformat(found[1]).replace(tzinfo=UTC) + timedelta(hours=int(found[2]) + 1)
    return None


class Folder:
    """A folder on the file system of the spool."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def take(self, file: Path, name: str) -> None:
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.rename(target)
        sync_folder(target.parent)

    def forget(self, before: datetime) -> int:
        """Links are neither followed nor removed."""
        removed = 0
        if not self._root.exists():
            return removed
        for folder, _, names, descriptor in os.fwalk(self._root, topdown=False, follow_symlinks=False):
            ended = _ended(folder)
            if ended is None or ended >= before:
                continue
            for name in filter(_OURS.fullmatch, names):
                os.unlink(name, dir_fd=descriptor)
                removed += 1
            with suppress(OSError):  # something else lies in it
                os.rmdir(folder)
                os.rmdir(os.path.dirname(folder))
        return removed


class Bucket:
    """A prefix of a bucket. Who we are, and where it is, AWS's own variables and files say."""

    def __init__(self, root: str) -> None:
        from pyarrow import fs  # loading it takes a while

        self._root = root
        self._store = fs.S3FileSystem(
            connect_timeout=_CONNECTS_WITHIN_S,
            request_timeout=_ANSWERS_WITHIN_S,
            background_writes=False,
            **_told(root.partition("/")[0]),
        )

    def take(self, file: Path, name: str) -> None:
        with file.open("rb") as source, self._store.open_output_stream(f"{self._root}/{name}") as target:
            while chunk := source.read(8 * 2**20):
                target.write(chunk)
        file.unlink()

    def forget(self, before: datetime) -> int:
        removed = 0
        for folder in self._partitions():
            ended = _ended(folder)
            if ended is not None and ended < before:
                for path in self._listed(folder, files=True):
                    if _OURS.fullmatch(path.rpartition("/")[2]):
                        self._store.delete_file(path)
                        removed += 1
                self._tidy(folder)
        return removed

    def _tidy(self, folder: str) -> None:
        """Remove what stands for an empty folder, which a deletion leaves behind."""
        for empty in (folder, folder.rpartition("/")[0]):
            if not self._listed(empty, files=True) and not self._listed(empty, files=False):
                self._store.delete_dir(empty)

    def _partitions(self) -> Iterator[str]:
        for model in self._listed(self._root, files=False):
            for date in self._listed(model, files=False):
                yield from self._listed(date, files=False)

    def _listed(self, folder: str, *, files: bool) -> Sequence[str]:
        from pyarrow import fs

        wanted = fs.FileType.File if files else fs.FileType.Directory
        found = self._store.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        return [info.path for info in found if info.type == wanted]


def _told(bucket: str) -> Mapping[str, str]:
    """What AWS's variables say that pyarrow does not read by itself, and the region where they do not say it."""
    from pyarrow import fs

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        parts = urlsplit(endpoint)
        return {"endpoint_override": parts.netloc, "scheme": parts.scheme}
    if not any(os.environ.get(name) for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE")):
        with suppress(OSError):
            return {"region": fs.resolve_s3_region(bucket)}
    return {}
