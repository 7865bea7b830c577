"""Hidden members: their values are in no byte, and all else is as it was."""

import json

import pytest

from collector.ops.console.rows.redaction import HIDDEN, Redaction

_SECRET = "u-8812"
_PATHS = ("uid", "ip", "event.dims.users.email", "event.items.email")
_RECORD = b'{"id":"a-1","ip":"u-8812","n":1.00,"event":%b,"warnings":[]}'


def _redacted(event: object, *paths: str) -> bytes:
    return Redaction(paths or _PATHS).record(_RECORD % json.dumps(event).encode())


def test_without_paths_every_byte_stays() -> None:
    assert Redaction(()).record(b"any") == Redaction(()).content(b"any") == Redaction(()).dead_letter(b"any") == b"any"


def test_the_members_at_the_paths_are_hidden_and_all_others_stay_byte_by_byte() -> None:
    line = Redaction(_PATHS).record(b'{"ip":"1.2.3.4","n":1.00,"event":{"uid":{"x":1},"v":1e400,"t":"\\u00e9"}}')
    hidden = json.dumps(HIDDEN, ensure_ascii=False)
    assert line.decode() == f'{{"ip":{hidden},"n":1.00,"event":{{"uid":{hidden},"v":1e400,"t":"\\u00e9"}}}}'


@pytest.mark.parametrize(
    "event",
    [
        {"uid": _SECRET},
        {"uid": [_SECRET]},
        {"dims": {"users": {"email": _SECRET}}},
        {"dims": [{"users": [{"email": _SECRET}]}]},
        {"dims": json.dumps({"users": {"email": _SECRET}})},
        {"dims": {"users": _SECRET}},
        {"items": [{"email": _SECRET}, {"email": {"a": _SECRET}}, [[{"email": _SECRET}]]]},
        {"items": [[[[[[[[[[[[{"email": _SECRET}]]]]]]]]]]]]},
        [{"uid": _SECRET}],
        json.dumps({"uid": _SECRET}),
    ],
)
def test_no_form_of_an_event_lets_a_hidden_value_through(event: object) -> None:
    assert _SECRET.encode() not in _redacted(event)


def test_a_name_with_escapes_and_one_that_stands_twice_are_hidden() -> None:
    line = b'{"event":{"\\u0075id":"u-8812"},"event":{"uid":"u-8812","uid":"u-8812"}}'
    assert _SECRET.encode() not in Redaction(("uid",)).record(line)


@pytest.mark.parametrize(
    "line", [b"", b"u-8812", b'{"uid":"u-8812"', b'"u-8812"', b'{"\xff":"u-8812"}', b"[" * 100_000 + b"]" * 100_000]
)
def test_what_cannot_be_parsed_is_hidden_whole(line: bytes) -> None:
    redaction = Redaction(("uid",))
    for hidden in (redaction.record(line), redaction.content(line), redaction.dead_letter(line)):
        assert json.loads(hidden) == HIDDEN


def test_the_refused_bytes_of_a_dead_letter_are_shown_only_where_the_paths_can_be_found() -> None:
    redaction = Redaction(("event.uid",))
    json_letter = redaction.dead_letter(b'{"encoding":"json","raw":[{"ea":"view","uid":"u-8812"}]}')
    assert json.loads(json_letter)["raw"] == [{"ea": "view", "uid": HIDDEN}]
    assert json.loads(redaction.dead_letter(b'{"raw":"uid=u-8812"}'))["raw"] == HIDDEN
    assert json.loads(redaction.dead_letter(b'{"dialect":"segment","raw":{"userId":"u-8812"}}'))["raw"] == HIDDEN
    assert json.loads(redaction.dead_letter(b'{"raw":{"event":{"uid":"u-8812"}}}'))["raw"] == {"event": {"uid": HIDDEN}}
    assert json.loads(redaction.content(b'{"userId":"u-8812"}', "segment")) == HIDDEN


def test_a_path_above_others_hides_all_of_them() -> None:
    for paths in (("event", "uid"), ("uid", "event")):
        assert json.loads(_redacted({"uid": 1, "ea": "view"}, *paths))["event"] == HIDDEN
        assert json.loads(Redaction(paths).content(b'{"ea":"view"}')) == HIDDEN


def test_filters_by_what_is_hidden_are_known() -> None:
    redaction = Redaction(_PATHS)
    hidden = ("uid", "event.uid", "ip", "event.dims", "dims.users", "event.dims.users.email", "dims.users.email.host")
    assert [each for each in hidden if not redaction.hides(each)] == []
    assert [each for each in ("ea", "event.ea", "email", "users", "uids") if redaction.hides(each)] == []
    assert not Redaction(()).hides("uid")
