"""One event by its id: its record, its place in the log, and what each sink did with it."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from collector.ops.console.lookup.fates import find_refusals
from collector.ops.console.lookup.find_line import FoundLine, Kept, find_line, parse_id
from tests.collector.ops.console.looked_up import START_MS, LookedUp
from tests.wal.logs import FILES, damage, segments
from wal.cursor import Cursor, Intent
from wal.folder import LogFolder
from wal.format import Position
from wal.log import Log


@pytest.fixture
def node(tmp_path: Path) -> LookedUp:
    """A node without an event."""
    return LookedUp(tmp_path)


def _place(sequence: int) -> Position:
    return Position(1, 148 + sequence, sequence)


def test_every_event_is_found_at_its_place(node: LookedUp) -> None:
    log_id = node.write(blocks=4)
    node.write("01")
    for sequence in range(1, 13):
        event = node.json(f"/api/event/{log_id}-{sequence}")
        place = event["place"]
        assert (place["shard"], place["sequence"]) == ("00", sequence)
        assert place["committed_ms"] == START_MS + (sequence - 1) // 3 * 1000
        segment = segments(str(node.folder / "data/log/00"))[place["segment"] - 1].read_bytes()
        assert segment[place["offset"] :].startswith(event["record"].encode() + b"\n")
        assert json.loads(event["record"])["id"] == event["id"] == f"{log_id}-{sequence}"
        assert (event["bytes"], event["truncated_at"], event["damage"]) == (len(event["record"].encode()), None, None)


def test_never_and_not_any_more_are_told_apart(node: LookedUp) -> None:
    log_id = node.write()
    node.write(ms=START_MS + 60_000)
    segments(str(node.folder / "data/log/00"))[0].unlink()
    for name in (f"{log_id}-7", f"{log_id}-0", "0000000000000000-1"):
        assert node.json(f"/api/event/{name}", 404)["code"] == "not_found"
    gone = node.json(f"/api/event/{log_id}-2", 410)
    assert gone["code"] == "gone"
    assert gone["message"].endswith("events are kept for 24 h, this one is from before 2024-05-01T12:01:00Z")
    assert node.json("/api/event/..%2F..%2Fetc", 400)["code"] == "bad_id"
    assert node.json(f"/api/event/{log_id}-5?x=1", 400)["code"] == "bad_parameter"


def test_a_node_without_a_log_has_no_event(node: LookedUp) -> None:
    assert node.json("/api/event/0000000000000000-1", 404)["code"] == "not_found"


def test_of_an_event_that_is_damaged_the_place_is_known(node: LookedUp) -> None:
    log_id = node.write(blocks=3)
    path = segments(str(node.folder / "data/log/00"))[0]
    damage(path, path.read_bytes().index(b'-5","received_at"'))
    event = node.json(f"/api/event/{log_id}-5")
    assert "events 4 to 6 are lost" in event["damage"]
    assert (event["record"], event["curl"], event["place"]["committed_ms"]) == ("", None, None)
    assert node.json(f"/api/event/{log_id}-7")["damage"] is None


def test_cursors_tell_what_each_sink_did(node: LookedUp) -> None:
    log_id = node.write(blocks=3)
    folder = LogFolder(FILES, str(node.folder / "data/log/00"))
    folder.ensure_cursor("file", _place(1))
    folder.save_cursor("file", Cursor(_place(2), Intent(_place(2), _place(7), "t", next=4, size=1)))
    folder.ensure_cursor("old", _place(1))
    (node.folder / "data/log/00/cursors/broken.json").write_text("{")
    states = {
        sequence: {each["name"]: each["state"] for each in node.json(f"/api/event/{log_id}-{sequence}")["sinks"]}
        for sequence in (1, 3, 4, 6, 7)
    }
    assert [each["file"] for each in states.values()] == ["delivered", "delivered", "in_flight", "in_flight", "pending"]
    assert {each["old"] for each in states.values()} == {"pending"}
    assert {each["broken"] for each in states.values()} == {"unknown"}


def test_a_sink_without_a_cursor_waits(node: LookedUp) -> None:
    (sink,) = node.json(f"/api/event/{node.write()}-1")["sinks"]
    assert (sink["name"], sink["state"], sink["reason"]) == (
        "file",
        "pending",
        "this sink has no cursor in this log yet",
    )


def test_a_dead_letter_of_a_sink_tells_that_it_refused_the_event(node: LookedUp) -> None:
    log_id = node.write()
    folder = LogFolder(FILES, str(node.folder / "data/log/00"))
    folder.ensure_cursor("file", _place(4))
    lines = [json.loads(node.json(f"/api/event/{log_id}-{at}")["record"]) for at in (1, 2)]
    for line, members in zip(lines, ({"sink": "file", "form": "record"}, {"form": "json"}), strict=True):
        line_text = json.dumps(line, separators=(",", ":"), ensure_ascii=False)
        with closing(Log(str(node.folder / "data/dead/00"), clock=lambda: START_MS)) as dead:
            letter = {"id": "x-1", "received_at": 1, "portal_id": 1, "prop_id": 2, "reason": "file: 422", "errors": []}
            head = json.dumps({**letter, **members, "encoding": "json"})[:-1]
            dead.commit(f'{head},"raw":{line_text}}}\n'.encode(), 1)
    sinks = [node.json(f"/api/event/{log_id}-{at}")["sinks"][0] for at in (1, 2, 3)]
    assert [each["state"] for each in sinks] == ["refused", "delivered", "delivered"]
    assert sinks[0]["reason"] == "file: 422"


def test_too_many_dead_letters_are_not_read_and_that_is_told(node: LookedUp) -> None:
    log_id = node.write()
    node.append_dead("{")
    found = find_line(str(node.folder / "data/log"), parse_id(f"{log_id}-1"), Kept("event", 24))
    assert isinstance(found, FoundLine)
    assert not find_refusals(str(node.folder / "data/dead"), found, -1.0).is_whole
    assert find_refusals(str(node.folder / "data/dead"), found, 10.0).is_whole


def test_a_long_record_comes_in_parts_that_do_not_split_a_character(node: LookedUp) -> None:
    text = "đ€😀" * 8000
    line = json.dumps({"id": "LOG-1", "portal_id": 1, "prop_id": 2, "event": {"t": text}}, ensure_ascii=False)
    log_id = node.append([line.encode() + b"\n"])
    event = node.json(f"/api/event/{log_id}-1")
    whole = line.replace("LOG", log_id)
    assert (event["bytes"], event["curl"]) == (len(whole.encode()), None)
    assert 20_000 < event["truncated_at"] <= 20_480
    assert event["record"].encode() == whole.encode()[: event["truncated_at"]]
    rest = node.get(f"/api/event/{log_id}-1/raw?from={event['truncated_at']}")
    assert event["record"].encode() + rest.body == whole.encode()
    assert node.get(f"/api/event/{log_id}-1/raw?from=5&limit=7").body == whole.encode()[5:12]
    assert rest.headers["content-type"] == "application/octet-stream"
    assert rest.headers["content-disposition"].startswith("attachment")
    assert node.json(f"/api/event/{log_id}-1/raw?limit=0", 400)["code"] == "bad_parameter"


def test_what_is_hidden_is_in_no_answer(tmp_path: Path) -> None:
    node = LookedUp(tmp_path, 'redact = ["uid", "ip"]')
    log_id = node.write()
    event = node.json(f"/api/event/{log_id}-2")
    assert json.loads(event["record"])["event"]["uid"] == "▒▒▒▒"
    assert event["curl"] is None
    for path in (f"/api/event/{log_id}-2", f"/api/event/{log_id}-2/raw", "/api/search"):
        body = node.get(path).body
        assert b'"u-2"' not in body
        assert b"192.0.2.7" not in body


def test_a_command_sends_the_event_again(node: LookedUp) -> None:
    log_id = node.write()
    event = node.json(f"/api/event/{log_id}-1")
    assert event["curl"].startswith("curl -sS 'http://127.0.0.1:8080/event?portal_id=33167&prop_id=2' -H ")
