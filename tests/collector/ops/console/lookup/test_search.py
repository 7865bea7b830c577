"""The search of the logs: newest first, a bit at a time, each line once whatever happens between two calls."""

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from collector.ops.console.lookup import log_backwards, search_endpoint
from collector.ops.console.lookup.newest_lines import NewestLines
from tests.collector.ops.console.looked_up import START_MS, LookedUp, pages
from tests.wal.logs import FILES, damage, segments
from wal.folder import LogFolder


@pytest.fixture
def node(tmp_path: Path) -> LookedUp:
    """Two shards that were written at the same time, and dead letters."""
    node = LookedUp(tmp_path)
    node.write("00", blocks=70, step_ms=2000)
    node.write("01", blocks=40, ms=START_MS + 1000, step_ms=2000)
    for number in range(3):
        node.append_dead('{"ea":"lost","ec":"c"}', "[", ms=START_MS + number * 10_000 + 500)
    return node


def _ids(node: LookedUp, query: str) -> list[str]:
    return [row[1] for row in pages(node, f"/api/search?{query}", "rows", "before")]


def _search_on(node: LookedUp, query: str, calls: int) -> str:
    following = ""
    for _ in range(calls):
        following = node.json(f"/api/search?{query}&before={following}")["next"]
    return following


@pytest.mark.parametrize("limit", [7, 100, 1000])
def test_all_is_found_once_and_the_newest_first(node: LookedUp, limit: int) -> None:
    ids = _ids(node, f"limit={limit}")
    assert len(ids) == len(set(ids)) == 70 * 3 + 40 * 3 + 6
    rows = node.json("/api/search?limit=1000")["rows"]
    assert Counter(row[3] for row in rows) == {"stored": 330, "dead": 6}
    newest = node.json("/api/search?limit=2")
    assert (newest["back_to_ms"], [row[0] for row in newest["rows"]]) == (START_MS + 69 * 2000, [0, 0])


@pytest.mark.parametrize("query", ["limit=7", "limit=1000", f"limit=50&before_ms={START_MS + 60_000}"])
def test_a_search_tells_how_much_is_left_and_at_its_end_nothing_is(node: LookedUp, query: str) -> None:
    page = node.json(f"/api/search?{query}")
    scanned, whole = page["scanned_bytes"], page["scanned_bytes"] + page["left_bytes"]
    while page["next"]:
        page = node.json(f"/api/search?limit=50&before={page['next']}")
        scanned += page["scanned_bytes"]
        assert scanned + page["left_bytes"] == whole
    assert (page["left_bytes"], scanned) == (0, whole)


@pytest.mark.parametrize("window", [100, 1000, 5000])
def test_blocks_that_are_longer_or_shorter_than_the_window_are_all_read(
    node: LookedUp, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(log_backwards, "_WINDOW_BYTES", window)
    folder = LogFolder(FILES, str(node.folder / "data/log/00"))
    with closing(NewestLines({"00": folder}, None, None)) as lines:
        found = [line for line in lines if line]
        assert [line.sequence for line in found] == list(range(210, 0, -1))
        assert all(Path(each.path).read_bytes()[each.start :].startswith(each.line + b"\n") for each in found[::20])
        assert lines.places is None


def test_a_call_ends_with_its_time_and_the_next_one_goes_on(node: LookedUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_endpoint, "_CPU_SECONDS", -1.0)
    ids = _ids(node, "kind=dead")
    assert len(ids) == len(set(ids)) == 6


def test_what_arrives_meanwhile_is_not_in_the_older_pages(node: LookedUp) -> None:
    first = node.json("/api/search?limit=10")
    node.write("00")
    node.write("02")
    found = [row[1] for row in first["rows"]]
    following = first["next"]
    while following:
        page = node.json(f"/api/search?limit=1000&before={following}")
        found += [row[1] for row in page["rows"]]
        following = page["next"]
    assert len(found) == len(set(found)) == 336


def test_retention_may_delete_what_was_not_read_yet(node: LookedUp) -> None:
    following = _search_on(node, "limit=5", 1)
    for shard in ("00", "01"):
        for path in segments(str(node.folder / "data/log" / shard))[:-1]:
            path.unlink()
    assert node.json(f"/api/search?limit=1000&before={following}")["next"] is None


def test_damage_hides_its_own_block_alone(node: LookedUp) -> None:
    path = segments(str(node.folder / "data/log/01"))[0]
    damage(path, path.read_bytes().index(b'-5","received_at"'))
    assert len(_ids(node, "kind=stored&limit=1000")) == 330 - 3
    found = list(pages(node, "/api/search?limit=30", "damaged", "before"))
    log = LogFolder(FILES, str(path.parent)).log_id.decode()
    lost = {"log": log, "first_sequence": 4, "last_sequence": 6, "lost": 3}
    assert found == [{"kind": "stored", "shard": "01"} | lost]


def test_events_whose_headers_or_segments_are_gone_are_told(tmp_path: Path) -> None:
    node = LookedUp(tmp_path)
    for minute in range(4):
        node.write(blocks=5, ms=START_MS + minute * 60_000)
    _, second, third, _ = segments(str(node.folder / "data/log/00"))
    second.unlink()
    damage(third, 148, b"x" * (third.stat().st_size - 148))
    for limit in (1000, 7):
        found = list(pages(node, f"/api/search?limit={limit}", "damaged", "before"))
        assert [(each["first_sequence"], each["last_sequence"], each["lost"]) for each in found] == [(16, 45, 30)]
    assert node.json(f"/api/search?before_ms={START_MS + 3000}")["damaged"] == []


def test_what_retention_deleted_and_what_is_being_written_is_not_damaged(node: LookedUp) -> None:
    node.write("00", ms=START_MS + 3_600_000)
    oldest, newest = segments(str(node.folder / "data/log/00"))
    oldest.unlink()
    with newest.open("r+b") as file:
        file.truncate(newest.stat().st_size - 600)
    assert list(pages(node, "/api/search?limit=1000", "damaged", "before")) == []


def test_bytes_without_a_block_are_passed_over_and_a_long_block_before_them_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_backwards, "_WINDOW_BYTES", 500)
    monkeypatch.setattr(log_backwards, "MAX_BLOCK_BYTES", 5000)
    node = LookedUp(tmp_path)
    node.write(events=9)
    node.write(blocks=20)
    folder = LogFolder(FILES, str(node.folder / "data/log/00"))
    path = segments(folder.path)[1]
    damage(path, 200, b"x" * (path.stat().st_size - 200))
    with closing(NewestLines({"00": folder}, None, None)) as lines:
        assert [line.sequence for line in lines if line] == list(range(9, 0, -1))


def test_a_search_begins_before_a_time(node: LookedUp) -> None:
    found = node.json(f"/api/search?limit=1&before_ms={START_MS + 60_000}")
    assert found["back_to_ms"] == START_MS + 59_000
    assert len(_ids(node, f"limit=1000&kind=stored&before_ms={START_MS + 4000}")) == 12
    assert node.json(f"/api/search?before_ms={START_MS}") == {
        "rows": [],
        "next": None,
        "scanned_bytes": 0,
        "left_bytes": 0,
        "back_to_ms": None,
        "damaged": [],
    }


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("kind=dead", 6),
        ("kind=rejected", 0),
        ("kind=duplicate", 0),
        ("uid=u-17", 2),
        ("q=u-177", 1),
        ("q=u-177&kind=dead", 0),
        ("ea=lost", 3),
        ("property=33167/2&ec=c", 3),
        ("property=33167/3", 0),
        ("source=pos", 0),
    ],
)
def test_filters_choose_rows(node: LookedUp, query: str, count: int) -> None:
    assert len(_ids(node, f"{query}&limit=1000")) == count


@pytest.mark.parametrize(
    "query",
    ["before=x", 'before={"stored/00":-1}', "before=[]", "limit=0", "limit=1001", "x=1", "before_ms=-1", "kind=x"],
)
def test_parameters_out_of_bounds_are_refused(node: LookedUp, query: str) -> None:
    assert node.json(f"/api/search?{query}", 400)["code"] == "bad_parameter"


def test_nothing_is_found_by_what_is_hidden(tmp_path: Path) -> None:
    node = LookedUp(tmp_path, 'redact = ["uid"]')
    node.write()
    assert node.json("/api/search?uid=u-1", 400)["code"] == "redacted"
    assert node.json("/api/search?q=u-1")["rows"] == []
    assert node.json("/api/search?q=product")["rows"][0][9] == "▒▒▒▒"


def test_a_node_without_a_log_finds_nothing(tmp_path: Path) -> None:
    assert LookedUp(tmp_path).json("/api/search")["rows"] == []
