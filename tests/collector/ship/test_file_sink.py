"""The file sink: each batch is there once, whole, under a name that follows from it."""

import asyncio
from pathlib import Path

import duckdb
import pytest
import zstandard

from collector.errors import SinkError
from collector.ship.batch import Batch, Part
from collector.ship.sinks.file import FileSink

LOG_ID = "0123456789abcdef"
ELEVEN_MS = 1_714_561_200_000
"""2024-05-01 11:00:00 UTC."""


def _part(timestamp_ms: int, first: int, last: int | None = None) -> Part:
    last = first if last is None else last
    lines = [
        b'{"id":"%b-%d","event":{"ea":"view","sid":%d}}\n' % (LOG_ID.encode(), n, n) for n in range(first, last + 1)
    ]
    return Part(timestamp_ms, first, last, b"".join(lines))


def _batch(*parts: Part) -> Batch:
    return Batch(LOG_ID, f"{LOG_ID}:1:{parts[0].first}-1:{parts[-1].last}:00000000", parts)


def _deliver(folder: Path, *batches: Batch) -> None:
    async def deliver() -> None:
        sink = FileSink(str(folder))
        await sink.open()
        for batch in batches:
            await sink.deliver(batch)
        await sink.close()

    asyncio.run(deliver())


def _files(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, inflated."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): zstandard.decompress(path.read_bytes()) for path in paths}


BATCH = _batch(_part(ELEVEN_MS, 1, 3), _part(ELEVEN_MS + 5, 4))
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


def test_the_bytes_follow_from_the_batch_alone(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        _deliver(tmp_path / folder, BATCH)
    assert (tmp_path / "a" / PLACE).read_bytes() == (tmp_path / "b" / PLACE).read_bytes()


def test_a_batch_over_an_hour_boundary_is_a_file_for_each_hour(tmp_path: Path) -> None:
    _deliver(tmp_path, _batch(_part(ELEVEN_MS - 1, 1, 2), _part(ELEVEN_MS, 3), _part(ELEVEN_MS + 3_599_999, 4)))
    assert list(_files(tmp_path)) == [
        f"date=2024-05-01/hour=10/{LOG_ID}-0000000000000001-0000000000000002.ndjson.zst",
        f"date=2024-05-01/hour=11/{LOG_ID}-0000000000000003-0000000000000004.ndjson.zst",
    ]


def test_a_clock_that_steps_back_over_midnight_loses_nothing(tmp_path: Path) -> None:
    midnight = ELEVEN_MS + 13 * 3_600_000
    times = [midnight - 1, midnight, midnight - 2]
    _deliver(tmp_path, _batch(*(_part(time, at) for at, time in enumerate(times, 1))))
    names = list(_files(tmp_path))
    assert [name.partition(f"/{LOG_ID}")[0] for name in names] == [
        "date=2024-05-01/hour=23",
        "date=2024-05-01/hour=23",
        "date=2024-05-02/hour=00",
    ]
    assert b"".join(sorted(_files(tmp_path).values())).count(b"\n") == 3


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
    batch = _batch(_part(ELEVEN_MS - 1, 1), _part(ELEVEN_MS, 2))
    _deliver(tmp_path / "whole", batch)
    whole = _files(tmp_path / "whole")
    _deliver(tmp_path / "half", batch)
    (tmp_path / "half" / list(whole)[1]).unlink()
    _deliver(tmp_path / "half", batch)
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
    async def deliver() -> None:
        sink = FileSink(str(tmp_path / "events"))
        await sink.open()
        (tmp_path / "events").rmdir()
        await sink.deliver(BATCH)
        await sink.close()

    asyncio.run(deliver())
    assert list(_files(tmp_path / "events")) == [PLACE]


def test_duckdb_reads_the_events_and_their_partitions(tmp_path: Path) -> None:
    _deliver(
        tmp_path,
        _batch(_part(ELEVEN_MS - 1, 1, 2), _part(ELEVEN_MS, 3)),
        _batch(_part(ELEVEN_MS + 1, 4, 1003)),
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
