"""The file sink: each batch is there once, whole, under a name that follows from it."""

import asyncio
from pathlib import Path
from typing import Literal

import duckdb
import pytest
import zstandard

from collector.errors import SinkError
from collector.ship.batch import Batch
from collector.ship.sinks.file import FileSink, FileSinkSettings
from tests.collector.ship.batches import ELEVEN_MS, LOG_ID, batch, deliver, part, record
from tests.destinations.files import contents_of, lines_in


def _sink(folder: Path, kind: Literal["ndjson", "parquet"] = "ndjson", consumer: str = "file") -> FileSink:
    return FileSink(FileSinkSettings(dir=str(folder), format=kind), consumer)


def _deliver(folder: Path, *batches: Batch) -> None:
    deliver(_sink(folder), *batches)


def _files(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` but marks, inflated."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.parent.name != "_tracklog")
    return {str(path.relative_to(folder)): zstandard.decompress(path.read_bytes()) for path in paths}


BATCH = batch(part(ELEVEN_MS, 1, 3), part(ELEVEN_MS + 5, 4))
PLACE = f"date=2024-05-01/hour=11/{LOG_ID}-0000000000000001-0000000000000004.ndjson.zst"


def test_a_batch_is_one_file_by_date_hour_and_sequences(tmp_path: Path) -> None:
    _deliver(tmp_path, BATCH)
    assert _files(tmp_path) == {PLACE: BATCH.parts[0].payload + BATCH.parts[1].payload}


def test_the_same_batch_twice_is_the_same_file_untouched(tmp_path: Path) -> None:
    _deliver(tmp_path, BATCH)
    before = (tmp_path / PLACE).stat()
    _deliver(tmp_path, BATCH, BATCH)
    after = (tmp_path / PLACE).stat()
    assert list(_files(tmp_path)) == [PLACE]
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_link_in_place_of_an_unfinished_file_leads_nowhere(tmp_path: Path) -> None:
    other, unfinished = tmp_path / "other", tmp_path / "sink" / f"{PLACE}.tmp"
    other.write_bytes(b"of somebody else")
    unfinished.parent.mkdir(parents=True)
    unfinished.symlink_to(other)
    _deliver(tmp_path / "sink", BATCH)
    assert other.read_bytes() == b"of somebody else"
    assert _files(tmp_path / "sink") == {PLACE: BATCH.parts[0].payload + BATCH.parts[1].payload}


def test_the_bytes_follow_from_the_batch_alone(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        _deliver(tmp_path / folder, BATCH)
    assert (tmp_path / "a" / PLACE).read_bytes() == (tmp_path / "b" / PLACE).read_bytes()


def test_a_batch_over_an_hour_boundary_is_a_file_for_each_hour(tmp_path: Path) -> None:
    _deliver(tmp_path, batch(part(ELEVEN_MS - 1, 1, 2), part(ELEVEN_MS, 3), part(ELEVEN_MS + 3_599_999, 4)))
    assert list(_files(tmp_path)) == [
        f"date=2024-05-01/hour=10/{LOG_ID}-0000000000000001-0000000000000002.ndjson.zst",
        f"date=2024-05-01/hour=11/{LOG_ID}-0000000000000003-0000000000000004.ndjson.zst",
    ]


def test_a_clock_that_steps_back_over_midnight_loses_nothing(tmp_path: Path) -> None:
    midnight = ELEVEN_MS + 13 * 3_600_000
    times = [midnight - 1, midnight, midnight - 2]
    _deliver(tmp_path, batch(*(part(time, at) for at, time in enumerate(times, 1))))
    found = _files(tmp_path)
    assert list(found) == [
        f"date=2024-05-01/hour=23/{LOG_ID}-0000000000000001-0000000000000003.ndjson.zst",
        f"date=2024-05-02/hour=00/{LOG_ID}-0000000000000002-0000000000000002.ndjson.zst",
    ]
    assert list(found.values()) == [record(1) + record(3), record(2)]


def test_a_temporary_file_that_a_crash_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / PLACE
    path.parent.mkdir(parents=True)
    path.with_name(path.name + ".tmp").write_bytes(b"half of something")
    _deliver(tmp_path, BATCH)
    assert list(_files(tmp_path)) == [PLACE]


def test_a_crash_behind_the_link_leaves_only_the_temporary_name_to_tidy(tmp_path: Path) -> None:
    _deliver(tmp_path, BATCH)
    path = tmp_path / PLACE
    path.with_name(path.name + ".tmp").hardlink_to(path)
    _deliver(tmp_path, BATCH)
    assert list(_files(tmp_path)) == [PLACE]


def test_a_crash_between_two_hours_of_a_batch_is_made_good(tmp_path: Path) -> None:
    two_hours = batch(part(ELEVEN_MS - 1, 1), part(ELEVEN_MS, 2))
    _deliver(tmp_path / "whole", two_hours)
    whole = _files(tmp_path / "whole")
    _deliver(tmp_path / "half", two_hours)
    (tmp_path / "half" / list(whole)[1]).unlink()
    _deliver(tmp_path / "half", two_hours)
    assert _files(tmp_path / "half") == whole


@pytest.mark.parametrize("obstacle", ["", "date=2024-05-01", "date=2024-05-01/hour=11"])
def test_a_place_that_cannot_be_written_is_a_sink_error_until_it_can(tmp_path: Path, obstacle: str) -> None:
    folder = tmp_path / "events"
    path = folder / obstacle
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a file where a folder should be")
    with pytest.raises(SinkError, match=str(path)):
        _deliver(folder, BATCH)
    path.unlink()
    _deliver(folder, BATCH)
    assert list(_files(folder)) == [PLACE]


def test_a_folder_that_vanishes_after_open_comes_back(tmp_path: Path) -> None:
    async def run() -> None:
        sink = _sink(tmp_path / "events")
        await sink.open(LOG_ID, 1)
        (tmp_path / "events").rmdir()
        await sink.deliver(BATCH)
        await sink.close()

    asyncio.run(run())
    assert list(_files(tmp_path / "events")) == [PLACE]


def test_a_file_of_the_name_with_other_events_in_it_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / PLACE
    path.parent.mkdir(parents=True)
    path.write_bytes(zstandard.compress(record(7)))
    with pytest.raises(SinkError, match=f"{path}: holds something else .* move it away"):
        _deliver(tmp_path, BATCH)
    path.unlink()
    _deliver(tmp_path, BATCH)
    assert list(_files(tmp_path)) == [PLACE]


def test_a_file_that_another_version_compressed_counts_as_delivered(tmp_path: Path) -> None:
    path = tmp_path / PLACE
    path.parent.mkdir(parents=True)
    path.write_bytes(zstandard.ZstdCompressor(level=1).compress(BATCH.payload))
    before = path.read_bytes()
    _deliver(tmp_path, BATCH)
    assert path.read_bytes() == before


def test_a_cursor_of_long_ago_goes_on_where_the_files_end(tmp_path: Path) -> None:
    later = batch(part(ELEVEN_MS + 9, 5, 6))
    assert deliver(_sink(tmp_path), BATCH, later) == 1
    assert deliver(_sink(tmp_path), sequence=2) == 7
    assert deliver(_sink(tmp_path), sequence=8) == 8


def test_a_mark_never_goes_back(tmp_path: Path) -> None:
    deliver(_sink(tmp_path), BATCH, batch(part(ELEVEN_MS + 9, 5, 6)))
    deliver(_sink(tmp_path), BATCH)
    assert deliver(_sink(tmp_path), sequence=1) == 7


def test_consumers_have_marks_of_their_own(tmp_path: Path) -> None:
    deliver(_sink(tmp_path), BATCH)
    assert deliver(_sink(tmp_path, consumer="file.replay.again"), sequence=1) == 1


@pytest.mark.parametrize("content", [b"", b"{", b'{"v":2}', b'{"v":1,"log_id":"x","consumer":"file","next":3}'])
def test_a_mark_that_is_none_is_an_error_that_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    mark = tmp_path / "_tracklog" / f"{LOG_ID}.file.json"
    mark.parent.mkdir()
    mark.write_bytes(content)
    with pytest.raises(SinkError, match=f"{mark}: is no mark .* move it away"):
        _deliver(tmp_path, BATCH)
    mark.unlink()
    _deliver(tmp_path, BATCH)
    assert list(_files(tmp_path)) == [PLACE]


def test_a_crash_before_the_mark_delivers_the_batch_again_to_the_same_file(tmp_path: Path) -> None:
    _deliver(tmp_path, BATCH)
    (tmp_path / "_tracklog" / f"{LOG_ID}.file.json").unlink()
    assert deliver(_sink(tmp_path), BATCH) == 1
    assert _files(tmp_path) == {PLACE: BATCH.payload}


def test_a_replay_is_a_file_beside_the_first_and_once_under_its_name(tmp_path: Path) -> None:
    _deliver(tmp_path, BATCH)
    for _ in range(2):
        sink = _sink(tmp_path, consumer="file.replay.again")
        deliver(sink, BATCH._replace(replay="again"))
    assert list(_files(tmp_path)) == [PLACE, PLACE.replace(".ndjson", ".replay-again.ndjson")]


def test_parquet_files_hold_what_the_ndjson_files_do(tmp_path: Path) -> None:
    batches = [batch(part(ELEVEN_MS - 1, 1, 2), part(ELEVEN_MS, 3)), batch(part(ELEVEN_MS + 1, 4, 503))]
    deliver(_sink(tmp_path / "parquet", "parquet"), *batches, batches[0])
    contents = contents_of(tmp_path / "parquet")
    assert lines_in(contents) == [event.line for batch in batches for event in batch.events()]
    query = "SELECT count(*), count(DISTINCT id), sum(sid::INT), sum(epoch_ms(received_at)), min(event->>'t') FROM "
    parquet = str(tmp_path / "parquet" / "**" / "*.parquet")
    assert duckdb.execute(f"{query} read_parquet(?, hive_partitioning = true)", [parquet]).fetchone() == (
        503,
        503,
        sum(range(1, 504)),
        sum(ELEVEN_MS + number for number in range(1, 504)),
        "đ\n",
    )


def test_duckdb_reads_the_events_and_their_partitions(tmp_path: Path) -> None:
    _deliver(
        tmp_path,
        batch(part(ELEVEN_MS - 1, 1, 2), part(ELEVEN_MS, 3)),
        batch(part(ELEVEN_MS + 1, 4, 1003)),
    )
    glob = str(tmp_path / "**" / "*.ndjson.zst")
    rows = duckdb.execute(
        "SELECT hour, count(*), count(DISTINCT id), sum(event.sid), any_value(event.ea) "
        "FROM read_json_auto(?, hive_partitioning = true) GROUP BY ALL ORDER BY hour",
        [glob],
    ).fetchall()
    assert [(str(hour), *rest) for hour, *rest in rows] == [
        ("10", 2, 2, 3, "view"),
        ("11", 1001, 1001, sum(range(3, 1004)), "view"),
    ]
