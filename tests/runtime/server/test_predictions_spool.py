"""Segments, batches and places: each row exactly once, whatever ends when."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from pyarrow import dataset, fs

from bedplate.atomic import sync_folder
from bedplate.runtime.server import log
from bedplate.runtime.server.config import PredictionLog
from bedplate.runtime.server.infer import Answer, Request, Wanted
from bedplate.runtime.server.predictions import frames, journal, places, reading, rolling
from bedplate.runtime.server.predictions.journal import Full, Journal
from bedplate.runtime.server.predictions.places import Folder, Place, place
from bedplate.runtime.server.predictions.recorder import Recorder, in_sample, share_below
from bedplate.runtime.server.predictions.records import Records
from bedplate.runtime.server.predictions.roller import Roller
from bedplate.runtime.server.predictions.rolling import Spool, deliver, finished, roll
from tests.runtime.server.test_predictions_frames import Signature, tensor

NOON = datetime(2026, 3, 1, 12, 30, tzinfo=UTC).timestamp()
SIGNATURE = Signature([tensor("x", "FP32")], [tensor("y", "FP32")])


class Killed(BaseException):
    """Stands for the end of the process."""


def told(folder: Path, **changes: object) -> PredictionLog:
    values: dict[str, object] = {
        "sample": 1.0,
        "spool": str(folder / ".spool"),
        "to": str(folder),
        "retention_s": 10**9,
        "backlog_bytes": 2**30,
        "record_bytes": 2**20,
        "roll_s": 3600,
    }
    return PredictionLog(**{**values, **changes})  # type: ignore[arg-type]


def frame(*names: str, at: float = NOON) -> bytes:
    records = Records(SIGNATURE)
    for name in names:
        records.taken.append((name, None, None, "ok", 200, at, 0.1, False, None, None))
    return records.pack()


def write(spool: Path, *frames: bytes) -> Journal:
    writer = Journal(spool, backlog_bytes=2**30, period_s=3600)
    writer.append(frames)
    return writer


def rows(folder: Path) -> list[str]:
    """All request ids that a reader of the folder finds, who knows nothing of bedplate."""
    if not list(folder.glob("**/*.parquet")):
        return []
    found: list[str] = dataset.dataset(folder, partitioning="hive").to_table(["request_id"])[0].to_pylist()
    return sorted(found)


def bring(spool: Spool, where: Place) -> None:
    """Everything that is finished, to its place."""
    roll(spool, finished(spool, 2**30))
    for batch in spool.batches():
        deliver(batch, where)


def run(folder: Path, service: str = "serving.a") -> list[str]:
    """Have the roller do what there is; which steps failed."""
    failures: list[str] = []
    Roller(told(folder), service, failures.append).run()
    return failures


def test_a_segment_is_nobodys_but_its_writers(tmp_path: Path) -> None:
    writer = write(tmp_path, frame("a"))
    assert journal.finished(tmp_path) == []
    writer.close()
    assert len(journal.finished(tmp_path)) == 1


def test_a_period_ends_its_segment(tmp_path: Path) -> None:
    now = [7190.0]
    writer = Journal(tmp_path, backlog_bytes=2**30, period_s=3600, clock=lambda: now[0])
    assert writer.left_s() is None
    writer.append([frame("a")])
    assert writer.left_s() == pytest.approx(10)
    now[0] = 7199.9
    writer.append([frame("b")])
    assert journal.finished(tmp_path) == []
    now[0] = 7200.0
    writer.end_period()
    assert len(journal.finished(tmp_path)) == 1
    writer.append([frame("c")])
    writer.close()
    assert len(journal.finished(tmp_path)) == 2


def test_a_full_backlog_takes_no_more(tmp_path: Path) -> None:
    writer = Journal(tmp_path, backlog_bytes=3 * len(frame("a")), period_s=3600)
    writer.append([frame("a"), frame("b")])
    with pytest.raises(Full):
        writer.append([frame("c"), frame("d")])
    writer.close()
    (segment,) = journal.finished(tmp_path)
    assert segment.stat().st_size == 2 * len(frame("a"))


def test_a_write_that_fails_hides_nothing_that_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = write(tmp_path / ".spool", frame("a"))
    real = os.write

    def short(file: int, data: memoryview) -> int:
        if len(data) < 10:
            raise OSError(28, "No space left on device")
        return real(file, data[: len(data) - 5])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", short)
        with pytest.raises(OSError, match="No space"):
            writer.append([frame("lost")])
    writer.append([frame("b")])
    writer.close()
    run(tmp_path)
    assert rows(tmp_path / "serving.a") == ["a", "b"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_loses_what_is_counted_as_lost_only(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", small], check=False).returncode:
        return  # no mounts in this sandbox; the test before this one injects the same failure
    try:
        counted = asyncio.run(_record(told(small), range(20_000)))
        assert counted["disk_error"] > 0
        assert counted["logged"] > 0
        assert counted["logged"] + counted["disk_error"] == 20_000
        spool = Spool(small / ".spool")
        data = [frames.unpack(path.read_bytes()).frames for path in finished(spool, 2**30)]
        found = sum(int(str(one.meta["rows"])) for segment in data for one in segment)
        assert found == counted["logged"]
    finally:
        subprocess.run(["umount", small], check=True)


async def _record(
    log: PredictionLog, names: range, offer: Callable[[Recorder, str], None] | None = None
) -> Counter[str]:
    counted: Counter[str] = Counter()

    def count(state: str, number: int) -> None:
        counted[state] += number

    recorder = Recorder(log, count)
    for name in names:
        if offer is not None:
            offer(recorder, str(name))
        else:
            recorder.offer(SIGNATURE, str(name), None, 500, "failed", 0.1)
        if name % 100 == 0:
            await asyncio.sleep(0.002)
    await recorder.close()
    return counted


def answer(elements: int) -> Answer:
    request = Request("mine", {"x": np.ones(elements, np.float32)}, [Wanted(SIGNATURE.outputs[0], False)])
    return Answer(b"{}", request, [np.ones(1, np.float32)])


def test_what_is_recorded_is_logged(tmp_path: Path) -> None:
    counted = asyncio.run(_record(told(tmp_path), range(3000)))
    assert counted == {"logged": 3000}
    run(tmp_path)
    assert rows(tmp_path / "serving.a") == sorted(map(str, range(3000)))


def test_a_queue_that_is_full_is_counted_and_takes_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fdatasync", lambda file: __import__("time").sleep(0.3))

    def offer(recorder: Recorder, name: str) -> None:
        recorder.offer(SIGNATURE, name, answer(200_000), 200, "ok", 0.1)

    counted = asyncio.run(_record(told(tmp_path), range(60), offer))
    assert counted["queue_full"] > 0
    assert counted["logged"] + counted["queue_full"] == 60
    run(tmp_path)
    assert len(rows(tmp_path / "serving.a")) == counted["logged"]


def test_a_large_request_is_logged_without_its_tensors(tmp_path: Path) -> None:
    def offer(recorder: Recorder, name: str) -> None:
        recorder.offer(SIGNATURE, name, answer(10 if name == "0" else 1000), 200, "ok", 0.1)

    counted = asyncio.run(_record(told(tmp_path, record_bytes=1000), range(2), offer))
    assert counted == {"logged": 2, "omitted": 1}
    run(tmp_path)
    table = reading.dataset(tmp_path / "serving.a" / "delay").to_table().sort_by("request_id").to_pylist()
    assert [row["omitted"] for row in table] == [False, True]
    assert [row["client_id"] for row in table] == ["mine", "mine"]
    assert [row["inputs"] is None for row in table] == [False, True]


def test_a_folder_that_cannot_be_written_is_said_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(log, "write", lambda level, event, **fields: said.append(str(fields["reason"])))
    (tmp_path / ".spool").write_text("in the way")
    counted = asyncio.run(_record(told(tmp_path), range(3000)))
    assert counted == {"disk_error": 3000}
    assert said == ["Not a directory"]


def test_the_sample_is_of_ids_and_of_its_size() -> None:
    below = share_below(0.2)
    assert below is not None
    chosen = [name for name in map(str, range(20_000)) if in_sample(name, below)]
    assert 3_700 < len(chosen) < 4_300
    wider = share_below(0.4)
    assert wider is not None
    assert all(in_sample(name, wider) for name in chosen)
    assert share_below(1.0) is None


@pytest.mark.parametrize("length", range(0, 240, 7))
def test_a_torn_segment_gives_what_was_acknowledged(tmp_path: Path, length: int) -> None:
    whole, torn = frame("a", "b"), frame("c")
    write(tmp_path / ".spool", whole).close()
    (segment,) = journal.finished(tmp_path / ".spool")
    with segment.open("ab") as file:
        file.write(torn[: min(length, len(torn) - 1)])
    run(tmp_path)
    assert rows(tmp_path / "serving.a") == ["a", "b"]


@pytest.mark.parametrize("step", ["written", "named", "removed", "taken", "delivered"])
def test_each_row_is_there_once_wherever_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    spool = Spool(tmp_path / ".spool")
    for number in range(3):
        write(spool.root, frame(f"a{number}", at=NOON), frame(f"b{number}", at=NOON + 3600)).close()

    def ends(*_: object) -> None:
        raise Killed

    spool.open()
    where = place(str(tmp_path), "serving.a")
    with monkeypatch.context() as patched:
        if step == "written":
            patched.setattr(rolling, "_write_list", ends)
            patched.setattr("shutil.rmtree", lambda *_, **__: None)
        elif step == "named":
            patched.setattr(Spool, "_remove_segments", ends)
        elif step == "removed":
            patched.setattr(rolling, "sync_folder", _after(2, ends))
        elif step == "taken":
            patched.setattr(places, "sync_folder", ends)
        elif step == "delivered":
            patched.setattr(Path, "rmdir", ends)
        with pytest.raises(Killed):
            bring(spool, where)
    run(tmp_path)
    assert rows(tmp_path / "serving.a") == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert [path for path in (tmp_path / ".spool").rglob("*") if path.is_file()] == []
    hours = sorted(path.parent.name for path in tmp_path.glob("serving.a/delay/date=2026-03-01/*/*.parquet"))
    assert hours == ["hour=12", "hour=13"]


def _after(times: int, then: Callable[..., None]) -> Callable[..., None]:
    left = iter(range(times))

    def call(folder: Path) -> None:
        if next(left, None) is None:
            then()
        sync_folder(folder)

    return call


def test_a_segment_that_nobody_understands_holds_up_no_other(tmp_path: Path) -> None:
    spool = tmp_path / ".spool"
    write(spool, frame("a")).close()
    write(spool, frames.pack({"rows": 3, "same": {}, "model": "x"}, [])).close()
    write(spool, frame("b")).close()
    run(tmp_path)
    assert rows(tmp_path / "serving.a") == ["a", "b"]
    assert len(list((spool / "damaged").iterdir())) == 1


def test_names_of_services_and_models_lead_nowhere_else() -> None:
    assert places.folder_name("../../etc") == "%2E.%2F..%2Fetc"
    assert places.folder_name("serving.a") == "serving.a"
    moment = datetime(2026, 3, 1, 5, tzinfo=UTC)
    assert places.partition("_m", moment) == "%5Fm/date=2026-03-01/hour=05"


def test_what_is_forgotten_is_ours_old_and_no_link(tmp_path: Path) -> None:
    name = f"predictions-{0:016x}-{0:08x}-0.parquet"
    root, elsewhere = tmp_path / "log", tmp_path / "elsewhere"
    old, new = (root / "m/date=2026-03-01" / hour for hour in ("hour=05", "hour=06"))
    for folder in (old, new, elsewhere / "date=2020-01-01/hour=01", root / "m/hour=05"):
        folder.mkdir(parents=True)
        (folder / name).write_text("x")
    (old / "notes.txt").write_text("mine")
    (root / "linked").symlink_to(elsewhere)
    (root / "m/date=2026-01-01").mkdir()
    (root / "m/date=2026-01-01/hour=03").symlink_to(elsewhere / "date=2020-01-01/hour=01")
    removed = Folder(root).forget(datetime(2026, 3, 1, 6, 30, tzinfo=UTC))
    assert removed == 1
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert f"log/m/date=2026-03-01/hour=06/{name}" in left
    assert "log/m/date=2026-03-01/hour=05/notes.txt" in left
    assert f"elsewhere/date=2020-01-01/hour=01/{name}" in left
    assert f"log/m/hour=05/{name}" in left
    assert Folder(root).forget(datetime(2026, 3, 1, 7, 1, tzinfo=UTC)) == 1
    assert not new.exists()
    assert Folder(tmp_path / "none").forget(datetime.now(UTC)) == 0


def reached(**more: bool) -> fs.S3FileSystem:
    """The S3 server as a reader of the log has it."""
    where = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    return fs.S3FileSystem(endpoint_override=where, scheme="http", **more)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A bucket of an S3 server on this machine."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "key",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    reached(allow_bucket_creation=True).create_dir("logs")
    yield f"s3://logs/{tmp_path.name}"
    server.stop()


def test_a_bucket_gets_the_files_once_it_can_be_reached(tmp_path: Path, bucket: str) -> None:
    failures: list[str] = []
    spool = tmp_path / ".spool"
    write(spool, frame("a", "b"), frame("c", at=NOON + 7200)).close()
    assert not Roller(told(tmp_path, to="s3://nobodys/x"), "serving.a", failures.append).run()
    assert failures == ["deliver"]
    assert len(list((spool / "ready").iterdir())) == 1
    assert Roller(told(tmp_path, to=bucket), "serving.a", failures.append).run()
    assert failures == ["deliver"]
    found = dataset.dataset(
        f"{bucket.removeprefix('s3://')}/serving.a/delay", filesystem=reached(), partitioning="hive"
    )
    table = found.to_table(columns=["request_id", "hour"]).to_pylist()
    assert {row["request_id"]: row["hour"] for row in table} == {"a": 12, "b": 12, "c": 14}
    assert [path for path in spool.rglob("*") if path.is_file()] == []


def test_a_bucket_forgets_what_is_old_and_ours(tmp_path: Path, bucket: str) -> None:
    where = place(bucket, "serving.a")
    for name, at in (("a", NOON), ("b", NOON + 3600)):
        write(tmp_path / ".spool", frame(name, at=at)).close()
    spool = Spool(tmp_path / ".spool")
    spool.open()
    bring(spool, where)
    store, root = reached(), bucket.removeprefix("s3://")
    with store.open_output_stream(f"{root}/serving.a/delay/date=2026-03-01/hour=12/mine.txt") as mine:
        mine.write(b"mine")
    assert where.forget(datetime.fromtimestamp(NOON, UTC) + timedelta(hours=1)) == 1
    assert where.forget(datetime.fromtimestamp(NOON, UTC) + timedelta(hours=2)) == 1
    left = [
        one.path for one in store.get_file_info(fs.FileSelector(f"{root}/serving.a/delay", recursive=True))
    ]
    assert [path.rpartition("/")[2] for path in left] == ["date=2026-03-01", "hour=12", "mine.txt"]


def test_a_place_of_two_versions_is_one_dataset(tmp_path: Path) -> None:
    write(tmp_path / ".spool", frame("a")).close()
    other = Signature([tensor("x", "FP32"), tensor("z", "BYTES")], [tensor("y", "FP32")], version="8")
    records = Records(other)
    records.taken.append(
        ("b", None, None, "ok", 200, NOON, 0.1, False, [(1,), (1,), (1,)], [b"\0" * 4, ["t"], b"\0" * 4])
    )
    write(tmp_path / ".spool", records.pack()).close()
    run(tmp_path)
    table = reading.dataset(tmp_path / "serving.a" / "delay").to_table().sort_by("request_id")
    assert table["version"].to_pylist() == ["7", "8"]
    assert table["inputs"].to_pylist()[1]["z"] == {"shape": [1], "data": ["t"]}
    assert table["date"].to_pylist() == ["2026-03-01"] * 2
