"""Dead letters in the console: counts by reason, lists, and one whole."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import zstandard

from collector.ops.console.letters import letters
from tests.collector.ops.console.looked_up import START_MS, LookedUp, pages
from tests.wal.logs import damage, segments

_MISSING = [{"field": "ea", "code": "missing", "message": "missing"}]


@pytest.fixture
def node(tmp_path: Path) -> LookedUp:
    """A node without a dead letter."""
    return LookedUp(tmp_path)


def _listed(node: LookedUp, query: str = "") -> list[dict[str, Any]]:
    return list(pages(node, f"/api/dead?limit=2{query}", "letters", "after"))


def test_letters_are_counted_by_their_first_fault_most_first(node: LookedUp) -> None:
    node.append_dead("{}", "{}", errors=_MISSING)
    node.append_dead("{}", shard="01", errors=_MISSING, prop_id=3)
    node.append_dead("{}", reason="not JSON", ms=START_MS + 60_000)
    node.append_dead("{}", reason="file: 422", sink="file", form="record", ms=START_MS + 60_000)
    assert node.json("/api/dead/reasons") == {
        "reasons": [
            {"reason": "ea: missing", "letters": 3, "of_sink": False},
            {"reason": "file: 422", "letters": 1, "of_sink": True},
            {"reason": "not JSON", "letters": 1, "of_sink": False},
        ],
        "letters": 5,
        "back_to_ms": None,
    }
    assert node.json("/api/dead/reasons?property=33167/3")["letters"] == 1
    assert node.json(f"/api/dead/reasons?since={START_MS + 1}")["letters"] == 2


def test_reasons_that_hold_text_of_senders_do_not_fill_the_memory(
    node: LookedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "_MOST_REASONS", 2)
    for number in range(5):
        node.append_dead("{}", reason=f"reason {number}")
    reasons = node.json("/api/dead/reasons")["reasons"]
    assert (reasons[0]["reason"], reasons[0]["letters"], len(reasons)) == ("other reasons", 3, 3)


def test_counting_ends_with_its_time_and_says_how_far_it_came(node: LookedUp, monkeypatch: pytest.MonkeyPatch) -> None:
    node.append_dead("{}")
    node.append_dead("{}", ms=START_MS + 1000)
    monkeypatch.setattr(letters, "_COUNT_CPU_SECONDS", -1.0)
    assert node.json("/api/dead/reasons")["back_to_ms"] == START_MS + 1000


def test_the_list_is_newest_first_and_comes_in_pages(node: LookedUp) -> None:
    old = node.append_dead("{}", "[1]", reason="not JSON")
    new = node.append_dead("{}", errors=_MISSING, shard="01", ms=START_MS + 1000, dialect="segment", prop_id=3)
    shown = _listed(node)
    assert [each["id"] for each in shown] == [*new, *reversed(old)]
    assert shown[0] == {
        "id": new[0],
        "received_ms": START_MS + 1000,
        "property": "33167/3",
        "dialect": "segment",
        "reason": "ea: missing",
        "bytes": 2,
        "sink": "",
        "redriven": False,
    }
    assert [each["id"] for each in _listed(node, "&reason=not JSON")] == old[::-1]
    assert [each["id"] for each in _listed(node, "&property=33167/3")] == new
    assert [each["id"] for each in _listed(node, f"&since={START_MS + 1}")] == new
    assert _listed(node, "&reason=other") == []


def test_the_length_is_that_of_what_was_sent(node: LookedUp) -> None:
    body = b"\xff" * 300
    node.append_dead(b64encode(body).decode(), encoding="base64")
    node.append_dead(b64encode(zstandard.compress(body)).decode(), encoding="zstd+base64")
    node.append_dead('"đ"')
    assert [each["bytes"] for each in _listed(node)] == [4, 300, 300]


def test_a_letter_of_several_lines_is_one_letter(node: LookedUp) -> None:
    (first,) = node.append_dead("ab", part=1, of=2, encoding="utf-8")
    node.append_dead("c\x00", part=2, of=2, encoding="utf-8")
    assert [(each["id"], each["bytes"]) for each in _listed(node)] == [(first, None)]
    assert node.json("/api/dead/reasons")["letters"] == 1
    assert node.get(f"/api/dead/{first}/raw").body == b"abc\x00"


def test_one_letter_is_shown_whole(node: LookedUp) -> None:
    sent: dict[str, Any] = {"code": "invalid_event", "errors": _MISSING, "user_agent": "till/1", "referer": None}
    (name,) = node.append_dead('{"ec":"product"}', **sent)
    assert node.json(f"/api/dead/{name}") == {
        "id": name,
        "received_ms": START_MS,
        "property": "33167/2",
        "dialect": "",
        "reason": "ea: missing",
        "code": "invalid_event",
        "errors": [{"field": "ea", "message": "missing"}],
        "sink": "",
        "ip": "192.0.2.7",
        "user_agent": "till/1",
        "referer": None,
        "bytes": 16,
        "encoding": "json",
        "body": '{"ec":"product"}',
        "truncated_at": None,
    }


def test_bytes_that_are_no_text_come_as_base64_and_whole_as_a_file(node: LookedUp) -> None:
    body = bytes(range(256)) * 100
    (name,) = node.append_dead(b64encode(body).decode(), encoding="base64")
    letter = node.json(f"/api/dead/{name}")
    assert (letter["encoding"], letter["bytes"], letter["truncated_at"]) == ("base64", 25_600, 20_480)
    assert letter["body"] == b64encode(body[:20_480]).decode()
    assert node.get(f"/api/dead/{name}/raw?from=20480").body == body[20_480:]


def test_never_not_any_more_and_unreadable_are_told_apart(node: LookedUp) -> None:
    (old,) = node.append_dead("{")
    (new,) = node.append_dead("{", ms=START_MS + 60_000)
    first, second, *_ = segments(str(node.folder / "data/dead/00"))
    damage(second, 148 + 200)
    assert node.json(f"/api/dead/{new}", 500)["code"] == "unreadable"
    first.unlink()
    gone = node.json(f"/api/dead/{old}", 410)
    assert gone["message"].startswith("not in the log any more: dead letters are kept for 720 h")
    assert node.json(f"/api/dead/{new}9", 404)["code"] == "not_found"
    assert node.json("/api/dead/x", 400)["code"] == "bad_id"


def test_a_line_that_is_no_letter_is_left_out(node: LookedUp) -> None:
    (name,) = node.append_dead("{}", encoding="rot13")
    assert _listed(node) == []
    assert node.json(f"/api/dead/{name}", 500)["code"] == "unreadable"


@pytest.mark.parametrize("body", ['{"uid":"u-77","ec":"c"}', "uid=u-77&ec=c", '[{"uid":"u-77"}]', '{"uid":"u-77"'])
def test_what_is_hidden_is_in_no_answer(tmp_path: Path, body: str) -> None:
    node = LookedUp(tmp_path, 'redact = ["uid", "ip"]')
    (name,) = node.append_dead(body)
    for path in (f"/api/dead/{name}", f"/api/dead/{name}/raw", "/api/dead", "/api/dead/reasons", "/api/search"):
        answer = node.get(path)
        assert answer.status == 200
        assert b"u-77" not in answer.body
        assert b"192.0.2.7" not in answer.body
    assert "▒▒▒▒" in node.json(f"/api/dead/{name}")["body"]


def test_the_reason_of_a_sink_may_quote_the_event_and_is_hidden_too(tmp_path: Path) -> None:
    node = LookedUp(tmp_path, 'redact = ["uid"]')
    (name,) = node.append_dead("{}", reason="http: 422: bad uid u-77", sink="http", form="record")
    (reason,) = node.json("/api/dead/reasons")["reasons"]
    assert reason["reason"] == node.json(f"/api/dead/{name}")["reason"] == "http: ▒▒▒▒"
    assert [each["id"] for each in _listed(node, "&reason=http: ▒▒▒▒".replace("▒", "%E2%96%92"))] == [name]
    assert node.json("/api/search?q=u-77")["rows"] == []
    for path in (f"/api/dead/{name}", "/api/dead", "/api/dead/reasons", "/api/search"):
        assert b"u-77" not in node.get(path).body


def test_a_hidden_property_can_be_no_filter(tmp_path: Path) -> None:
    node = LookedUp(tmp_path, 'redact = ["prop_id"]')
    node.append_dead("{}")
    assert node.json("/api/dead?property=33167/2", 400)["code"] == "redacted"
    assert node.json("/api/dead")["letters"][0]["property"] == "▒▒▒▒"


def test_a_letter_that_was_redriven_says_so(node: LookedUp) -> None:
    passed, batch, refused = node.append_dead('{"ea":"a","ec":"c"}', "[]", "{")
    ledger = node.folder / "data/log/redrive"
    log_id = node.write("redrive")
    plan = {"log_id": log_id, "sequence": 1, "letters": [passed, f"{batch}/0"]}
    node.append([json.dumps(plan).encode() + b"\n"], "redrive/ledger")
    assert ledger.is_dir()
    assert {each["id"]: each["redriven"] for each in _listed(node)} == {passed: True, batch: True, refused: False}


def test_no_dead_letter_is_an_empty_list(node: LookedUp) -> None:
    assert node.json("/api/dead") == {"letters": [], "next": None}
    assert node.json("/api/dead/reasons") == {"reasons": [], "letters": 0, "back_to_ms": None}
