"""The shards and their segments, as the view of the log shows them."""

import sys
from pathlib import Path

import pytest

from tests.collector.ops.console.looked_up import START_MS, LookedUp
from tests.wal.logs import FILES, segments
from wal.damage import Damage, Kind, append
from wal.folder import LogFolder
from wal.format import Position
from wal.tools.listing import end_of_log


@pytest.fixture
def node(tmp_path: Path) -> LookedUp:
    """A shard of five segments, and one that no worker holds."""
    node = LookedUp(tmp_path)
    for minute in range(3):
        node.write("00", blocks=2, ms=START_MS + minute * 60_000)
    node.write("redrive")
    return node


def _folder(node: LookedUp, shard: str = "00") -> LogFolder:
    return LogFolder(FILES, str(node.folder / "data/log" / shard))


def test_each_shard_has_its_numbers_and_its_cursors(node: LookedUp) -> None:
    folder = _folder(node)
    folder.ensure_cursor("file", Position(2, 148, 7))
    folder.ensure_cursor("old", Position(1, 148, 1))
    first, second = node.json("/api/shards")["shards"]
    assert first["path"] == folder.path
    assert (first["shard"], first["worker"], first["log"]) == ("00", 0, folder.log_id.decode())
    assert first["bytes"] == sum(path.stat().st_size for path in segments(folder.path))
    assert (first["segments"], first["next_sequence"], first["damaged_events"], first["error"]) == (3, 19, 0, None)
    assert first["cursors"] == [
        {"sink": "file", "next_sequence": 7, "behind": 12, "state": "not running"},
        {"sink": "old", "next_sequence": 1, "behind": 18, "state": "not in the settings"},
    ]
    assert (second["shard"], second["worker"], second["next_sequence"]) == ("redrive", None, 4)


def test_a_shard_that_cannot_be_read_hides_no_other(node: LookedUp) -> None:
    (node.folder / "data/log/00/log.json").write_text("{}")
    first, second = node.json("/api/shards")["shards"]
    assert "log.json" in first["error"]
    assert first["path"] == str(node.folder / "data/log/00")
    assert second["error"] is None


def test_segments_come_newest_first_a_page_at_a_time(node: LookedUp) -> None:
    page = node.json("/api/shards/00/segments?limit=2")
    assert [each["number"] for each in page["segments"]] == [3, 2]
    assert page["next"] == 2
    rest = node.json("/api/shards/00/segments?limit=2&after=2")
    assert ([each["number"] for each in rest["segments"]], rest["next"]) == ([1], None)
    assert [each["number"] for each in node.json("/api/shards/00/segments?after=3&limit=1")["segments"]] == [2]
    segment = page["segments"][1]
    assert (segment["first_sequence"], segment["last_sequence"]) == (7, 12)
    assert (segment["first_ms"], segment["last_ms"]) == (START_MS + 60_000, START_MS + 120_000)
    assert segment["file"] == segments(_folder(node).path)[1].name
    assert page["segments"][0]["last_sequence"] == 18


def test_a_segment_is_open_waits_for_a_sink_or_is_delivered(node: LookedUp) -> None:
    _folder(node).ensure_cursor("file", Position(2, 148, 7))
    shown = node.json("/api/shards/00/segments")["segments"]
    assert [each["state"] for each in shown] == ["open", "waits", "delivered"]
    assert [each["state"] for each in node.json("/api/shards/redrive/segments")["segments"]] == ["kept"]
    _folder(node, "redrive").ensure_cursor("file", Position(1, 148, 1))
    assert [each["state"] for each in node.json("/api/shards/redrive/segments")["segments"]] == ["waits"]
    _folder(node, "redrive").drop_cursor("file")
    _folder(node, "redrive").ensure_cursor("file", Position(1, 2000, 4))
    assert [each["state"] for each in node.json("/api/shards/redrive/segments")["segments"]] == ["delivered"]


def test_a_segment_is_delivered_once_the_cursor_is_at_its_end(node: LookedUp) -> None:
    _folder(node).ensure_cursor("file", Position(2, 4000, 13))
    assert [each["state"] for each in node.json("/api/shards/00/segments")["segments"]][1:] == ["delivered"] * 2


def test_damage_stands_at_its_segment_and_that_of_a_missing_one_at_the_next(node: LookedUp) -> None:
    folder = _folder(node)
    append(folder, Damage(Kind.CORRUPT, Position(1, 148, 1), Position(1, 900, 4), "a payload with another CRC"))
    segments(folder.path)[1].unlink()
    append(folder, Damage(Kind.MISSING, Position(2, 0, 7), Position(3, 148, 13), "no such file"))
    last, first = node.json("/api/shards/00/segments")["segments"]
    assert (first["lost"], last["lost"]) == (3, 6)
    assert first["damage"][0]["offset"] == 148
    assert (first["damage"][0]["first_sequence"], first["damage"][0]["last_sequence"]) == (1, 3)
    assert "is missing: events 7 to 12 are lost" in last["damage"][0]["message"]
    assert node.json("/api/shards")["shards"][0]["damaged_events"] == 9


@pytest.mark.parametrize("name", ["01", "..", "%2e%2e%2fdead", "00%00", "redrive%2fledger"])
def test_the_name_of_a_shard_is_never_a_path(node: LookedUp, name: str) -> None:
    assert node.get(f"/api/shards/{name}/segments").status == 404


@pytest.mark.parametrize("query", ["after=x", "limit=0", "limit=1001", "after=-1", "x=1"])
def test_parameters_out_of_bounds_are_refused(node: LookedUp, query: str) -> None:
    assert node.json(f"/api/shards/00/segments?{query}", 400)["code"] == "bad_parameter"


def test_a_file_that_cannot_be_read_is_named(node: LookedUp) -> None:
    (node.folder / "data/log/00/damage.ndjson").write_text("x\n")
    refused = node.json("/api/shards/00/segments", 500)
    assert refused["code"] == "unreadable"
    assert "damage.ndjson" in refused["message"]


def test_the_end_of_a_log_is_that_of_its_last_block(tmp_path: Path) -> None:
    node = LookedUp(tmp_path)
    node.write(blocks=400, step_ms=1)
    end = end_of_log(_folder(node))
    assert end
    assert (end[0].sequence, end[0].offset) == (1201, segments(_folder(node).path)[-1].stat().st_size)
    assert end[0].sequence < sys.maxsize
