"""Matomo: what each parameter becomes, where its secret goes, and that no request breaks the module."""

import json
from typing import Any, Final
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import BadEvent, TooFast, TooLarge
from collector.ingest.dialects.dialect import DialectEvent, Result
from collector.ingest.dialects.matomo.dialect import Matomo
from collector.ingest.query import parse_pairs
from collector.ingest.responses import GIF
from tests.collector.ingest.dialects.parameter_dialects import (
    JSON_VALUES,
    expected,
    head_of,
    is_refused_or_sound,
    one,
    ours,
    recorded,
    told,
)
from tests.collector.ingest.dialects.reading import events_in

MATOMO: Final = Matomo()
POST: Final = head_of("POST", "/matomo.php")
ITEMS: Final = '[["864115","Tivi","tv",19.90,1],["2","","",0,null]]'
TOKEN: Final = "33dc3f2536d3025974cccb4b4d2d98f4"


def _get(**parameters: str) -> dict[str, Any]:
    """Our event of one Matomo event, sent by GET."""
    return ours(MATOMO, head_of("GET", f"/matomo.php?{urlencode({'rec': '1', **parameters})}"))


def _bulk(*requests: object, **members: object) -> bytes:
    return json.dumps({"requests": requests, **members}).encode()


def _events(body: bytes) -> list[DialectEvent]:
    return events_in(MATOMO, POST, body)


@pytest.mark.parametrize("name", ["matomo-node", "matomo-browser"])
def test_every_recorded_request_gives_the_events_written_down_for_it(name: str) -> None:
    requests = recorded(name)
    assert [[told(event) for event in MATOMO.events(head, body)] for head, body in requests] == expected(name)
    for head, body in requests:
        assert len(is_refused_or_sound(MATOMO, head, body)) > 0


@pytest.mark.parametrize(
    ("sent", "event"),
    [
        ({}, {"ea": "view", "ec": "page"}),
        (
            {"e_c": "c", "e_a": "a", "e_n": "n", "e_v": "1.5"},
            {"ea": "a", "ec": "c", "extra": {"e_n": "n", "e_v": "1.5"}},
        ),
        ({"idgoal": "3", "revenue": "9"}, {"ea": "goal", "ec": "3", "extra": {"revenue": "9"}}),
        (
            {"search": "tv", "search_cat": "c"},
            {"ea": "search", "ec": "site", "extra": {"search": "tv", "search_cat": "c"}},
        ),
        ({"link": "https://a/"}, {"ea": "click", "ec": "outlink", "extra": {"link": "https://a/"}}),
        ({"download": "https://a/"}, {"ea": "click", "ec": "download", "extra": {"download": "https://a/"}}),
        ({"ping": "1"}, {"ea": "ping", "ec": "page"}),
        ({"c_n": "ad", "c_p": "x"}, {"ea": "impression", "ec": "content", "extra": {"c_n": "ad", "c_p": "x"}}),
        (
            {"idgoal": "0", "ec_id": "o-1", "ec_items": ITEMS},
            {
                "ea": "purchase",
                "ec": "order",
                "items": [
                    {"id": "864115", "name": "Tivi", "category": "tv", "price": 19.9, "quantity": 1},
                    {"id": "2", "price": 0},
                ],
                "extra": {"ec_id": "o-1"},
            },
        ),
        (
            {"idgoal": "0", "revenue": "9", "ec_items": "[]"},
            {"ea": "update", "ec": "cart", "extra": {"revenue": "9", "ec_items": "[]"}},
        ),
        ({"e_c": "c", "e_a": "a", "idgoal": "3"}, {"ea": "a", "ec": "c", "extra": {"idgoal": "3"}}),
        ({"search": "tv", "ping": "1"}, {"ea": "search", "ec": "site", "extra": {"search": "tv", "ping": "1"}}),
        (
            {"dimension1": "pro", "cvar": '{"1":["a","b"]}', "_cvar": "{}", "dimensions": "x"},
            {
                "ea": "view",
                "ec": "page",
                "dims": {"dimension1": "pro", "cvar": {"1": ["a", "b"]}, "_cvar": {}},
                "extra": {"dimensions": "x"},
            },
        ),
        ({"cid": "a", "uid": "u"}, {"ea": "view", "ec": "page", "aid": "a", "uid": "u"}),
        ({"_id": "b"}, {"ea": "view", "ec": "page", "aid": "b"}),
        ({"_id": "b", "cid": "a"}, {"ea": "view", "ec": "page", "aid": "a", "extra": {"_id": "b"}}),
        ({"cdt": "2026-11-28 02:43:02"}, {"ea": "view", "ec": "page", "et": "2026-11-28 02:43:02"}),
        ({"cdt": "1795833782"}, {"ea": "view", "ec": "page", "et": 1795833782000}),
        ({"cdt": "1795833782637"}, {"ea": "view", "ec": "page", "et": "1795833782637"}),
        ({"url": "", "h": "2"}, {"ea": "view", "ec": "page", "extra": {"h": "2"}}),
    ],
)
def test_each_row_of_the_table_holds_by_get_by_form_and_in_bulk(sent: dict[str, str], event: dict[str, Any]) -> None:
    query = urlencode({"rec": "1", **sent})
    assert _get(**sent) == event
    assert ours(MATOMO, head_of("POST", f"/matomo.php?{query}")) == event
    assert ours(MATOMO, POST, query.encode()) == event
    for request in (f"?{query}", query, f"https://m.example.com/matomo.php?{query}", {"rec": 1, **sent}):
        assert ours(MATOMO, POST, _bulk(request)) == event


@pytest.mark.parametrize("name", ["url", "urlref", "action_name", "res", "lang", "pv_id", "uadata"])
def test_a_parameter_of_the_page_goes_into_the_context(name: str) -> None:
    assert _get(**{name: "v"}) == {"ea": "view", "ec": "page", "context": {name: "v"}}
    assert ours(MATOMO, POST, _bulk({"rec": "1", "uadata": {"mobile": False}}))["context"] == {
        "uadata": {"mobile": False}
    }


@pytest.mark.parametrize("text", ["{", "[1]", "5", '{"a":"\\ud800"}', "[" * 3000, '{"a":' * 3000])
def test_json_that_cannot_be_read_stays_text(text: str) -> None:
    assert _get(cvar=text)["dims"] == {"cvar": text}


@pytest.mark.parametrize(
    "text", ["{", "5", '["a"]', "[5]", '[["a",1,1,1,1,1]]', "[" + "[]," * 2000 + "[]]", "[" * 3000, '[["\\ud800"]]']
)
def test_items_that_cannot_be_read_stay_text(text: str) -> None:
    assert _get(idgoal="0", ec_items=text)["extra"] == {"ec_items": text}


def test_a_line_break_in_json_leaves_the_event_on_one_line() -> None:
    event = one(MATOMO, head_of("GET", "/matomo.php?rec=1&cvar=%7B%0A%221%22:%0D%0A%5B1,2%5D%7D"))
    assert event.event == b'{"ea":"view","ec":"page","dims":{"cvar":{"1":[1,2]}}}'


@pytest.mark.parametrize("sent", [{}, {"rec": "0"}, {"rec": ""}, {"rec": "true"}])
def test_an_event_that_does_not_say_rec_is_refused_as_matomo_records_none(sent: dict[str, str]) -> None:
    event = one(MATOMO, head_of("GET", f"/matomo.php?{urlencode({**sent, 'idsite': '7'})}"))
    assert event.refusal == BadEvent("rec: expected 1; Matomo records no other requests").refusal
    assert json.loads(event.raw) == {**sent, "idsite": "7"}
    assert event.credentials.property_id == "7"


@pytest.mark.parametrize("bad", [5, None, True, [], ["?rec=1"], "", "?", "?rec=0", {}, {"rec": {}}, {"rec": 2}])
def test_a_bad_event_loses_none_of_its_neighbours(bad: object) -> None:
    assert [each.refusal is None for each in _events(_bulk("?rec=1", bad, "?rec=1"))] == [True, False, True]


def test_the_property_is_that_of_the_event_else_that_of_the_query() -> None:
    assert [each.credentials.property_id for each in _events(_bulk("?rec=1&idsite=7", "?rec=1"))] == ["7", ""]
    assert MATOMO.credentials(head_of("POST", "/matomo.php?idsite=8")) == ("8", "")
    assert MATOMO.credentials(POST) == ("", "")


@pytest.mark.parametrize(
    ("target", "body"),
    [
        (f"?rec=1&token%5Fauth={TOKEN}&idsite=7", b""),
        ("?rec=1&idsite=7", f"token_auth={TOKEN}".encode()),
        ("", f"rec=1&idsite=7&token_auth={TOKEN}".encode()),
        ("", _bulk("?rec=1&idsite=7", token_auth=TOKEN)),
        ("", _bulk(f"?rec=1&idsite=7&token_auth={TOKEN}")),
        ("", _bulk({"rec": "1", "idsite": 7, "token_auth": TOKEN})),
        (f"?token_auth={TOKEN}", _bulk("?rec=1&idsite=7")),
    ],
)
def test_the_token_is_the_secret_of_the_property_and_nowhere_else(target: str, body: bytes) -> None:
    refused = [body.replace(b"rec", b"rex"), body]
    for sent, query in zip(refused, [target.replace("rec", "rex"), target], strict=True):
        event = one(MATOMO, head_of("POST", f"/matomo.php{query}"), sent)
        assert event.credentials == ("7", TOKEN)
        assert event.is_s2s
        assert TOKEN.encode() not in event.raw + event.event
    assert event.refusal is None


@pytest.mark.parametrize(
    "body",
    [
        f'{{"requests":["?rec=1"],"token_auth":"{TOKEN}"',
        f'{{"requests":[],"token_auth" : "{TOKEN}"}}',
        f'{{"requests":5,"token_auth":"{TOKEN}"}}',
        f'{{"requests":["?rec=1"],"token_auth":{TOKEN}}}',
        f'{{"requests":["?rec=1&token_auth={TOKEN}&x=1],"token_auth":"{TOKEN}"}}',
        f'{{"requests":[["?token_auth={TOKEN}"]]}}',
        f'{{"requests":[{{"rec":{{}},"token_auth":"{TOKEN}"}}]}}',
        f'{{"token_auth":"{TOKEN}"}}',
        f'{{"token_auth":"{TOKEN}',
    ],
)
def test_a_body_that_cannot_be_read_is_one_bad_event_without_its_token(body: str) -> None:
    event = one(MATOMO, POST, body.encode())
    assert event.refusal is not None
    assert TOKEN.encode() not in event.raw + event.event


def test_half_an_emoji_costs_no_event_of_its_batch() -> None:
    body = b'{"requests":["?rec=1&idsite=7&action_name=cut \\ud83d","?rec=1&idsite=7"]}'
    events = events_in(MATOMO, POST, body)
    assert [event.refusal for event in events] == [None, None]


def test_address_and_user_agent_are_taken_out_of_the_event() -> None:
    event = one(MATOMO, head_of("GET", "/matomo.php?rec=1&cip=203.0.113.7&ua=Mozilla%2F5.0"))
    assert (event.ip, event.user_agent, event.is_s2s) == ("203.0.113.7", "Mozilla/5.0", False)
    assert json.loads(event.event) == {"ea": "view", "ec": "page"}


def test_bulk_is_told_by_its_bytes_whatever_the_content_type() -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/json"):
        head = head_of("POST", "/matomo.php", content_type=content_type)
        assert len(list(MATOMO.events(head, b" \n" + _bulk("?rec=1", "?rec=1", send_image=0)))) == 2


def test_query_and_form_are_one_event_and_the_query_counts_first() -> None:
    event = ours(MATOMO, head_of("POST", "/matomo.php?rec=1&url=a"), b"url=b&uid=u")
    assert event == {"ea": "view", "ec": "page", "uid": "u", "context": {"url": "a"}}


def test_a_request_without_query_and_body_is_refused() -> None:
    with pytest.raises(BadEvent):
        list(MATOMO.events(head_of("GET", "/matomo.php"), b""))


def test_2500_events_are_read_and_one_more_is_too_large() -> None:
    assert len(_events(_bulk(*["?rec=1"] * 2500))) == 2500
    with pytest.raises(TooLarge):
        _events(_bulk(*["?rec=1"] * 2501))


def test_too_large_an_event_is_one_bad_event() -> None:
    large = "?rec=1&url=" + "x" * (400 << 10)
    codes = [each.refusal and each.refusal.code for each in _events(_bulk("?rec=1", large, "?rec=1"))]
    assert codes == [None, "too_large", None]
    with pytest.raises(TooLarge):
        _events(large.encode())


PATHS: Final = [
    (b"/matomo.php", True),
    (b"/piwik.php", True),
    (b"/piwik.php/", True),
    (b"/stats/matomo.php", True),
    (b"/a/b/c/piwik.php", True),
    (b"/xmatomo.php", False),
    (b"/matomo.php5", False),
    (b"matomo.php", False),
    (b"/matomo.php/x", False),
    (b"/matomoXphp", False),
]


@pytest.mark.parametrize(("path", "is_ours"), PATHS)
def test_the_script_is_served_in_any_folder(path: bytes, *, is_ours: bool) -> None:
    assert MATOMO.pattern is not None
    assert bool(MATOMO.pattern.fullmatch(path)) is is_ours


def _many(request: str, count: int) -> bytes:
    return _bulk(*[request] * count)


HOSTILE: Final = {
    "a million elements": b'{"requests":[1' + b",1" * 1_000_000 + b"]}",
    "deep": b'{"requests":[' + b"[" * 20_000,
    "deep in one event": b'{"requests":[{"cvar":' + b"[" * 500 + b"]" * 500 + b"}]}",
    "raw line breaks": b'{"requests":[\n"?rec=1"\n,\r\n{"rec":\n"1",\n"cvar":{\n"a":\r[1]}}\n]}',
    "invalid UTF-8": b'{"requests":["?rec=1&url=\xff"]}',
    "invalid UTF-8 in a form": b"rec=1&url=" + b"\xff" * 3000,
    "control characters in a form": b"rec=1&url=" + b"\x01" * 3000,
    "half a surrogate": b'{"requests":["?rec=1&url=\\ud800"]}',
    "malformed escapes": _bulk("?rec=1&url=%zz%&x=%2&y=%E9", "?%", "?rec=1&%=%"),
    "short parameters": _many("?rec=1&" + "&".join(f"{at:x}=1" for at in range(90)), 50),
    "items that grow": _many("?rec=1&idgoal=0&ec_items=[" + ",".join(["[1,1,1,1,1]"] * 200) + "]", 20),
    "numbers": _bulk(*[{"rec": 1} | {str(at): 1 for at in range(300)}] * 20),
    "too many parameters": _bulk("?rec=1" + "&a=1" * 5000, {str(at): "1" for at in range(5000)}),
    "long names for ea": _many("?rec=1&e_c=" + "%22" * 80 + "&e_a=" + "%5C" * 80, 100),
    "tokens": b'{"token_auth"' * 100_000,
    "spaces": b'{"token_auth"' + b" " * 1_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_gives_sound_events_or_is_refused(name: str) -> None:
    is_refused_or_sound(MATOMO, POST, HOSTILE[name])


def test_too_many_parameters_are_refused_rather_than_cut() -> None:
    assert all(each.refusal for each in _events(HOSTILE["too many parameters"]))


def test_a_bulk_of_many_short_parameters_keeps_all_of_them_as_one_text() -> None:
    flags = {"h": "2", "m": "43", "s": "33", "pdf": "1", "qt": "0", "realp": "0", "wma": "0", "x": "a&b=c+d%"}
    extra = {f"pf_{at}": "1" for at in range(20)} | flags
    request = urlencode({"rec": "1", "idsite": "7", "_id": "43fdcad0ce85573b", "url": "https://a/b", **extra})
    events = is_refused_or_sound(MATOMO, POST, _many(f"?{request}", 100))
    made = [json.loads(each.event) for each in events]
    assert made[0]["extra"] == extra
    assert list(made[-1]["extra"]) == ["query"]
    assert parse_pairs(made[-1]["extra"].pop("query").encode()).values == extra
    del made[0]["extra"], made[-1]["extra"]
    assert made[0] == made[-1]


def test_items_that_would_make_a_batch_grow_stay_text() -> None:
    events = is_refused_or_sound(MATOMO, POST, HOSTILE["items that grow"])
    assert len(events) == 20
    assert "items" not in json.loads(events[-1].event)


@pytest.mark.parametrize(
    ("method", "query", "status", "body"),
    [
        ("GET", "rec=1", 200, GIF),
        ("GET", "rec=1&send_image=1", 200, GIF),
        ("GET", "rec=1&send_image=0", 204, b""),
        ("POST", "rec=1&send_image=0", 204, b""),
        ("POST", "rec=1", 200, GIF),
        ("POST", "", 200, b'{"status":"success","tracked":3,"invalid":4}'),
        ("POST", "idsite=7&debug=1", 200, b'{"status":"success","tracked":3,"invalid":4}'),
    ],
)
def test_the_answer_is_the_one_that_the_trackers_read(method: str, query: str, status: int, body: bytes) -> None:
    response = MATOMO.response(head_of(method, f"/matomo.php?{query}"), Result(stored=2, duplicates=1, rejected=4))
    assert (response.status, response.body) == (status, body)


def test_a_refusal_is_json() -> None:
    refusal = TooFast("rate", 3).refusal
    response = MATOMO.refusal(POST, refusal)
    assert response.status == 429
    assert json.loads(response.body) == {"code": "rate_limited", "message": refusal.message}


def test_nothing_is_sent_again() -> None:
    assert not MATOMO.retries(POST)


_KNOWN: Final = (
    "rec",
    "idsite",
    "token_auth",
    "e_c",
    "e_a",
    "idgoal",
    "ec_id",
    "ec_items",
    "search",
    "ping",
    "cid",
    "_id",
)
_NAMES: Final = st.sampled_from((*_KNOWN, "cvar", "uadata", "dimension1", "cdt", "url", "cip", "ua", "h"))
_TEXTS: Final = st.sampled_from(["", "0", "1", "{}", "[]", ITEMS, '{\n"a":1}', "2026-11-28 00:00:00"])
_PAIRS: Final = st.lists(st.tuples(_NAMES, _TEXTS.map(quote) | st.text(max_size=9) | st.just("%")), max_size=9)
_QUERIES: Final = _PAIRS.map(lambda pairs: "&".join(["rec=1", *[f"{name}={value}" for name, value in pairs]]))
_OBJECTS: Final = st.dictionaries(_NAMES | st.text(max_size=4), _TEXTS | JSON_VALUES, max_size=9)


@settings(deadline=None, max_examples=100)
@given(st.lists(_QUERIES | _OBJECTS | JSON_VALUES, max_size=5), st.sampled_from([None, 1]))
def test_any_bulk_is_sound_or_refused(requests: list[Any], indent: int | None) -> None:
    body = json.dumps({"requests": requests}, indent=indent, ensure_ascii=False)
    is_refused_or_sound(MATOMO, POST, body.encode("utf-8", "surrogatepass"))


@settings(deadline=None, max_examples=100)
@given(JSON_VALUES.map(lambda value: json.dumps(value).encode()) | st.binary())
def test_any_body_is_sound_or_refused(body: bytes) -> None:
    is_refused_or_sound(MATOMO, POST, body)


@settings(deadline=None, max_examples=100)
@given(_QUERIES, st.binary(max_size=9))
def test_any_query_is_sound_or_refused(query: str, end: bytes) -> None:
    sent = query.encode("utf-8", "surrogatepass") + end
    assert len(is_refused_or_sound(MATOMO, head_of("GET", b"/matomo.php?" + sent), b"")) <= 1
    is_refused_or_sound(MATOMO, POST, sent)
