"""Answers of the API for every view of the console's page, each of whose strings may be one text."""

from typing import Any

from tests.collector.ops.console.page.page_in_browser import NODE, SESSION

NOW_MS = 1_764_338_531_204
EVENT, LETTER = "0123456789abcdef-7", "fedcba9876543210-3"
SERIES = (
    *("received", "stored", "rejected", "shed", "duplicate", "delivered"),
    *("request_p50", "request_p99", "commit_p50", "commit_p99", "pressure", "disk_free", "pending"),
)


def rows(text: str) -> list[list[Any]]:
    """Rows of each kind, oldest first."""
    strings = [text, text, text, text, text, text]
    return [
        [1, EVENT, NOW_MS, "stored", *strings, 612, [text], None],
        [2, LETTER, NOW_MS, "dead", *strings, 88, 0, text],
        [3, None, NOW_MS, "rejected", *strings, None, 0, text],
        [4, None, NOW_MS, "duplicate", *strings, None, 0, None],
        [5, None, NOW_MS, "damaged", *[None] * 6, 88, 3, text],
    ]


def sample(text: str) -> dict[str, Any]:
    """The data of `now`."""
    worker = {"place": 0, "pid": 811, "shard": "00", "ready": False, "reason": text, "cpu": 0.4, "memory": 5 << 20}
    sink = {"name": text, "shard": "00", "state": "down", "since_ms": NOW_MS, "lag_events": 12, "lag_bytes": 99}
    return {
        "now_ms": NOW_MS,
        "started_ms": NOW_MS - 90_000,
        "ready": False,
        "reason": text,
        "values": dict.fromkeys(SERIES, 1.5),
        "codes": {text: 2.0},
        "disk": {"free": 1e11, "total": 2e11, "full_in_s": 777_600},
        "dead": 12,
        "workers": [worker | {"started_ms": NOW_MS - 90_000, "restarts": 1, "age_ms": 100}],
        "sinks": [sink | {"lag_seconds": 3.0, "error": text, "age_ms": 100}],
    }


def answers(text: str) -> dict[str, Any]:
    """The answers by path."""
    return {
        "/api/session": SESSION,
        "/api/node": NODE | {"properties": [{"property": text, "id": text, "source": text}], "sinks": [text]},
        "/api/snippet": {"tags": text, "notes": [text]},
        "/api/series": {"step_s": 10, "first_ms": NOW_MS - 600_000, "values": {each: [1, None, 3] for each in SERIES}},
        f"/api/event/{EVENT}": _event(text),
        f"/api/dead/{LETTER}": _letter(text),
        "/api/dead/reasons": {"reasons": [{"reason": text, "letters": 2, "of_sink": True}], "letters": 2},
        "/api/dead": {"letters": [_summary(text)], "next": text},
        "/api/redrive/preview": {
            **{"plan": "p", "expires_ms": NOW_MS, "would_pass": 2, "still_refused": {text: 1}},
            **{"unknown": 1, "of_sinks": 1},
        },
        "/api/jobs": {"jobs": [_job(text, "running"), _job(text, "failed")]},
        "/api/accounts": _accounts(text),
        "/api/shards": {"shards": [_shard(text)]},
        "/api/shards/00/segments": {"segments": [_segment(text)], "next": None},
    }


def _event(text: str) -> dict[str, Any]:
    record = '{"id":"%s","ip":%s,"event":{%s:%s,"big":12345678901234567890123,"items":[{"name":%s}]}}'
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    place = {"shard": "00", "segment": 42, "offset": 812, "sequence": 7, "committed_ms": NOW_MS}
    return {
        **{"id": EVENT, "place": place, "record": record % (EVENT, quoted, quoted, quoted, quoted), "bytes": 300},
        **{"truncated_at": None, "damage": None, "curl": f"curl {text}"},
        "sinks": [{"name": text, "state": "refused", "reason": text}],
    }


def _summary(text: str) -> dict[str, Any]:
    row = {"id": LETTER, "received_ms": NOW_MS, "property": text, "dialect": text, "reason": text, "bytes": 88}
    return row | {"sink": text, "redriven": True}


def _letter(text: str) -> dict[str, Any]:
    seen = {"ip": text, "user_agent": text, "referer": text, "encoding": "utf-8", "body": text, "truncated_at": None}
    return _summary(text) | seen | {"code": text, "errors": [{"field": text, "message": text}]}


def _job(text: str, state: str) -> dict[str, Any]:
    request = {"sink": text, "from": NOW_MS, "to": None, "where": [text], "name": text, "dead_letters": False}
    job = {"id": f"{state}{text}", "kind": "replay", "state": state, "done": 1, "total": 3, "message": text}
    return job | {"started_ms": NOW_MS, "ended_ms": None, "exit_code": 1, "title": text, "request": request}


def _accounts(text: str) -> dict[str, Any]:
    inside = {"received": 10, "stored": 7, "duplicate": 1, "rejected": 1, "shed": 1, "waiting": 0, "codes": {text: 1}}
    outside = {"delivered": 5, "pending": 1, "dead": 0}
    row = {"property": text, **inside, "balance": "differs", **outside, "days": [None, *range(29)]}
    return {
        **{"day": "2025-11-28", "from_ms": NOW_MS, "to_ms": NOW_MS, "unknown_before_ms": NOW_MS, "rows": [row]},
        "unknown": [{"property": text, "requests": 4, "first_ms": NOW_MS}],
        "warnings": [{"property": text, "message": text, "command": text}],
        **{"next": text, "properties": 2},
    }


def _shard(text: str) -> dict[str, Any]:
    cursor = {"sink": text, "next_sequence": 8, "behind": 2, "state": text}
    shard = {"shard": "00", "path": text, "worker": None, "log": "0123456789abcdef", "bytes": 99, "segments": 1}
    return shard | {"next_sequence": 8, "damaged_events": 3, "error": None, "cursors": [cursor]}


def _segment(text: str) -> dict[str, Any]:
    damage = {"offset": 9, "first_sequence": 4, "last_sequence": 6, "message": text}
    segment = {"number": 42, "file": text, "first_sequence": 1, "last_sequence": None, "first_ms": NOW_MS}
    return segment | {"last_ms": NOW_MS, "bytes": 99, "state": "open", "lost": 3, "damage": [damage]}
