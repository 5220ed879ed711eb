"""From finished segments to delivered files, each row exactly once, whenever this is cut off.

A batch of segments becomes a folder `staging/BATCH` with its Parquet files and a list of what it was made of,
which then gets the name `ready/BATCH`: in this one step its rows are in Parquet, and no longer in their
segments. What follows can be done again: its segments are removed, its files brought to their place under
names that the batch gave them. What lies in `staging` when nobody works there is worth nothing.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pyarrow
import pyarrow.parquet

from bedplate.atomic import sync_folder
from bedplate.runtime.server import log
from bedplate.runtime.server.predictions import frames, journal, tables
from bedplate.runtime.server.predictions.places import Place, partition

_LIST = "batch.json"
_NOT_UNDERSTOOD = (pyarrow.ArrowException, ValueError, KeyError, TypeError)
_FEW_VALUES = ["model", "version", "arm", "outcome", "status"]


@dataclass(frozen=True)
class Spool:
    """The folders of one service's log on its way."""

    root: Path

    @property
    def segments(self) -> Path:
        return self.root / "journal"

    @property
    def staging(self) -> Path:
        return self.root / "staging"

    @property
    def ready(self) -> Path:
        return self.root / "ready"

    def open(self) -> None:
        """Make the folders; what was being made when somebody was killed goes."""
        for folder in (self.segments, self.ready):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.staging.exists():
            shutil.rmtree(self.staging)
        self.staging.mkdir(mode=0o700)
        for batch in self.batches():
            self._remove_segments(_listed(batch))

    def batches(self) -> list[Path]:
        """What is ready to be delivered, oldest first."""
        return sorted(self.ready.iterdir())

    def roll(self, segments: Sequence[Path]) -> int:
        """Turn segments into a batch of Parquet files; how many rows it has. Raises OSError, and nothing is."""
        name = f"{time.time_ns():016x}-{secrets.token_hex(4)}"
        staged = self.staging / name
        staged.mkdir(mode=0o700)
        try:
            rows, files = _written(segments, staged, name)
            _write_list(staged, [segment.name for segment in segments], files)
            sync_folder(staged)
            staged.rename(self.ready / name)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        sync_folder(self.ready)
        self._remove_segments(_listed(self.ready / name))
        return rows

    def set_aside(self, segment: Path) -> None:
        """Keep a segment, for somebody to look at, where nothing takes it up again."""
        aside = self.root / "damaged"
        aside.mkdir(exist_ok=True, mode=0o700)
        segment.rename(aside / segment.name)

    def _remove_segments(self, listed: Mapping[str, object]) -> None:
        names = cast(Sequence[str], listed.get("segments", ()))
        for name in names:
            (self.segments / name).unlink(missing_ok=True)
        if names:
            sync_folder(self.segments)


def roll(spool: Spool, segments: Sequence[Path]) -> None:
    """Roll segments; one that cannot be understood is set aside, and does not hold up the others."""
    try:
        spool.roll(segments)
    except _NOT_UNDERSTOOD as error:
        for segment in segments if len(segments) > 1 else ():
            roll(spool, [segment])
        if len(segments) == 1:
            spool.set_aside(segments[0])
            log.write("error", "segment set aside", segment=segments[0].name, reason=log.one_line(str(error)))


def deliver(batch: Path, place: Place) -> None:
    """Bring a batch's files to their place; raises OSError, and what is left is left for another time."""
    files = cast(Mapping[str, str], _listed(batch).get("files", {}))
    for file, name in files.items():
        if (batch / file).exists():
            place.take(batch / file, name)
    (batch / _LIST).unlink(missing_ok=True)
    batch.rmdir()


def _written(segments: Sequence[Path], staged: Path, name: str) -> tuple[int, dict[str, str]]:
    """Rows written, and for each file where it belongs."""
    rows, files = 0, {}
    found = [frame for segment in segments for frame in _frames(segment)]
    for number, part in enumerate(tables.parts(found)):
        file = staged / f"{number}.parquet"
        with file.open("xb") as opened:
            pyarrow.parquet.write_table(part.table, opened, compression="zstd", use_dictionary=_FEW_VALUES)
            opened.flush()
            os.fsync(opened.fileno())
        rows += part.table.num_rows
        files[file.name] = f"{partition(part.model, part.date)}/predictions-{name}-{number}.parquet"
    return rows, files


def _frames(segment: Path) -> Iterator[frames.Frame]:
    data = segment.read_bytes()
    found = frames.unpack(data)
    if found.whole_bytes < len(data):  # its writer was killed in the middle of what it had not acknowledged
        log.write("info", "segment cut off", segment=segment.name, left_bytes=len(data) - found.whole_bytes)
    yield from found.frames


def _write_list(staged: Path, segments: Sequence[str], files: Mapping[str, str]) -> None:
    with (staged / _LIST).open("x", encoding="utf-8") as opened:
        json.dump({"segments": segments, "files": files}, opened)
        opened.flush()
        os.fsync(opened.fileno())


def _listed(batch: Path) -> Mapping[str, object]:
    """What a batch was made of; nothing, if only its empty folder is left."""
    with suppress(FileNotFoundError):
        found: Mapping[str, object] = json.loads((batch / _LIST).read_text(encoding="utf-8"))
        return found
    return {}


def finished(spool: Spool, most_bytes: int) -> list[Path]:
    """Finished segments, up to so many bytes, but one at least."""
    chosen: list[Path] = []
    total = 0
    for segment in journal.finished(spool.root):
        total += segment.stat().st_size
        if chosen and total > most_bytes:
            break
        chosen.append(segment)
    return chosen
