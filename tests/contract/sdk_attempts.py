"""Requests of SDKs for every dialect, drawn by Hypothesis: recorded ones and made-up ones, mutated in any way."""

import base64
import gzip
import json
import zlib
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import zstandard
from hypothesis import strategies as st

from tests.contract.hostile import mutations
from tests.running import WRITE_KEYS

SECRET: Final = WRITE_KEYS["TRACKLOG_TEST_KEY_A"]
WRONG_SECRET: Final = "wrong-0123456789abcdef"
SHOP: Final = b"https://shop.example.com"
AGENT: Final = "SecretAgent/1.0 (x)"
DIALECTS: Final = ("segment", "snowplow", "matomo", "posthog", "cloudevents")
_DIALECT_BY_NAME: Final = {"rudder": "segment", "jitsu": "segment"}
_KEY: Final = "@KEY@"
"""Stands for `ID` or `ID:SECRET` in a request."""
_ID, _TOKEN = "@ID@", "@TOKEN@"
"""Stand for the id, and for the secret as Matomo has it in a query."""
_RECORDED_KEYS: Final = ("phc_WRITE_KEY_0123456789", "WRITE_KEY_0123456789", "KEYID:@KEY@", "shop-web")
_DEEP: Final = "@DEEP@"
_LEFT_OUT: Final = (
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "content-encoding",
    "origin",
    "referer",
)
_NAMES: Final = (
    *("type", "event", "userId", "anonymousId", "messageId", "timestamp", "originalTimestamp", "sentAt", "context"),
    *("properties", "traits", "name", "groupId", "previousId", "channel", "integrations", "writeKey", "products"),
    *("e", "aid", "eid", "dtm", "stm", "uid", "duid", "sid", "vid", "ue_pr", "ue_px", "co", "cx", "ip", "ua", "p"),
    *("se_ac", "se_ca", "tr_id", "ti_sk", "url", "tv", "rec", "idsite", "e_c", "e_a", "idgoal", "ec_id", "ec_items"),
    *("cip", "cid", "_id", "cdt", "cvar", "uadata", "dimension1", "search", "ping", "send_image", "token_auth"),
    *("uuid", "distinct_id", "api_key", "token", "$ip", "$raw_user_agent", "$session_id", "$set", "$lib", "$insert_id"),
    *("specversion", "id", "source", "subject", "time", "data", "data_base64", "datacontenttype", "comexample"),
)
_TEXTS: Final = st.text(st.characters(), max_size=12)
_VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES) | _TEXTS, inner, max_size=3),
    max_leaves=6,
)
_HARD_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, 0, -1, 2**70, 1e308, 0.5, "", "1", "é", "\ud800", "a\ud800b", "\0", "\n", _DEEP, [], {}, [[]], [{}]),
    *("x" * 300, "x" * 70_000, "\x01" * 1000, "%01" * 300, '"' * 300, [1] * 3000, [{"a": 1}] * 1001),
    *({"ip": "203.0.113.77", "userAgent": AGENT}, {"library": {"name": "analytics-python"}}, "203.0.113.77"),
    *("e=pv", "?rec=1&e_c=a&e_a=b&ua=%01%01", "2026-01-01T00:00:00Z", 1700000000000, "srv", "1.0"),
)
_MOST_PLACES: Final = 400
_MANY: Final = (2, 2, 2, 40, 2500, 2501)
_LONGEST_REPEATED: Final = 400_000


class SdkRequest(NamedTuple):
    """A request of an SDK, with placeholders for its keys."""

    dialect: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: str


class SdkAttempt(NamedTuple):
    """A request as it is sent."""

    request: SdkRequest
    sent: bytes
    body: bytes
    """The body without its content coding."""
    keys: tuple[tuple[str, str], ...]
    """Ids of properties and secrets in it."""
    origin: bytes
    is_whole: bool
    """Whether the body is JSON that no byte was changed of, in a coding that can be undone."""


def recorded() -> list[SdkRequest]:
    """Every recorded request."""
    found = []
    for path in sorted((Path(__file__).parent / "sdk").glob("*.json")):
        dialect = path.stem.partition("-")[0]
        requests = json.loads(path.read_text())["requests"]
        found += [_recorded(_DIALECT_BY_NAME.get(dialect, dialect), each) for each in requests]
    return found


def _recorded(dialect: str, each: dict[str, Any]) -> SdkRequest:
    body = base64.b64decode(each.get("body_base64", "")) or each.get("body", "").encode()
    text = (gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body).decode()
    headers = tuple((name.lower(), value) for name, value in each["headers"] if name.lower() not in _LEFT_OUT)
    target = each["target"].replace("/events", f"/event?id={_ID}").replace("idsite=7", f"idsite={_ID}{_TOKEN}")
    return SdkRequest(
        dialect,
        each["method"],
        _with_placeholders(target),
        tuple((name, _with_placeholders(value)) for name, value in headers),
        _with_placeholders(text.replace("idsite=7", f"idsite={_ID}{_TOKEN}")),
    )


def _with_placeholders(text: str) -> str:
    if text.startswith("Basic "):
        return f"Basic {_KEY}"
    for key in _RECORDED_KEYS:
        text = text.replace(key, _KEY)
    return text


@st.composite
def _made(draw: st.DrawFn) -> SdkRequest:
    """A request of any members that have a meaning to some dialect."""
    dialect = draw(st.sampled_from(DIALECTS))
    start = _STARTS[dialect]
    events = [
        {**draw(st.sampled_from(start)), **draw(st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=4))}
        for _ in range(draw(st.integers(1, 4)))
    ]
    return _ENVELOPES[dialect](events)


_STARTS: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "segment": ({"type": "track", "event": "E"}, {"type": "identify", "traits": {}}, {"type": "page"}),
    "snowplow": ({"e": "pv", "aid": _KEY}, {"e": "se", "se_ac": "a", "se_ca": "c", "aid": _KEY}, {"e": "ue"}),
    "matomo": ({"rec": "1", "idsite": _ID}, {"rec": 1, "e_c": "c", "e_a": "a"}, {"idgoal": "0"}),
    "posthog": ({"event": "E", "properties": {"token": _KEY}}, {"event": "$pageview", "distinct_id": "u"}, {}),
    "cloudevents": ({"specversion": "1.0", "id": "1", "source": "s", "type": "t"}, {"specversion": "1.0"}),
}
_JSON_TYPE: Final = (("content-type", "application/json"), ("user-agent", AGENT))


def _segment(events: list[Any]) -> SdkRequest:
    body = {"batch": events, "writeKey": _KEY, "sentAt": "2026-01-01T00:00:00Z", "context": {"ip": "203.0.113.77"}}
    headers = (*_JSON_TYPE, ("authorization", f"Basic {_KEY}"))
    return SdkRequest("segment", "POST", "/v1/batch", headers, json.dumps(body))


def _snowplow(events: list[Any]) -> SdkRequest:
    if len(events) == 1:
        return SdkRequest("snowplow", "GET", "/i?" + _query(events[0]), _JSON_TYPE, "")
    path = "/com.snowplowanalytics.snowplow/tp2"
    return SdkRequest("snowplow", "POST", path, _JSON_TYPE, json.dumps({"schema": "s", "data": events}))


def _matomo(events: list[Any]) -> SdkRequest:
    if len(events) == 1:
        return SdkRequest("matomo", "GET", "/matomo.php?" + _query(events[0]), _JSON_TYPE, "")
    requests = [event if at % 2 else "?" + _query(event) for at, event in enumerate(events)]
    return SdkRequest(
        "matomo", "POST", f"/a/piwik.php?idsite={_ID}{_TOKEN}", _JSON_TYPE, json.dumps({"requests": requests})
    )


def _posthog(events: list[Any]) -> SdkRequest:
    return SdkRequest("posthog", "POST", "/batch/", _JSON_TYPE, json.dumps({"api_key": _KEY, "batch": events}))


def _cloudevents(events: list[Any]) -> SdkRequest:
    headers = (("content-type", "application/cloudevents-batch+json"), ("x-write-key", _TOKEN))
    return SdkRequest("cloudevents", "POST", f"/event?id={_ID}", headers, json.dumps(events))


_ENVELOPES: Final = {
    "segment": _segment,
    "snowplow": _snowplow,
    "matomo": _matomo,
    "posthog": _posthog,
    "cloudevents": _cloudevents,
}


def _query(event: dict[str, Any]) -> str:
    values = {name: value if isinstance(value, str) else json.dumps(value) for name, value in event.items()}
    return urlencode(values, errors="replace").replace("%40", "@")


@st.composite
def sdk_attempts(draw: st.DrawFn, all_recorded: list[SdkRequest]) -> SdkAttempt:
    """Any request of an SDK: whole, or mutated."""
    request = draw(st.sampled_from(all_recorded) | _made())
    body, is_json = request.body, False
    if body[:1] in ("{", "["):
        value = json.loads(body)
        for _ in range(draw(st.sampled_from((0, 0, 1, 1, 2)))):
            value = draw(_mutated(value))
        body, is_json = json.dumps(value).replace(f'"{_DEEP}"', "[" * 3000 + "]" * 3000), True
    keys = draw(st.sampled_from(KEYS).map(lambda key: (key, key)) | st.tuples(*[st.sampled_from(KEYS)] * 2))
    text = _keyed(body, keys[1]).encode()
    changed = draw(mutations(text))
    target = draw(_targets(_keyed(request.target, keys[0])))
    coding, wire = draw(_coded(changed))
    method = draw(st.sampled_from((*[request.method] * 12, "HEAD", "OPTIONS", "PUT")))
    origin = draw(st.sampled_from((b"", b"", SHOP, b"https://evil.example")))
    headers = [(name.encode(), _header(name, value, keys[0])) for name, value in request.headers]
    headers += [(b"origin", origin)] if origin else []
    headers += [(b"content-encoding", coding)] if coding else []
    headers += draw(st.lists(st.sampled_from(_HEADERS), max_size=2))
    lines = [b"%b %b HTTP/1.1" % (method.encode(), target), b"host: x", *[b"%b: %b" % each for each in headers]]
    lines += [b"content-length: %d" % len(wire)] if wire or method in ("POST", "PUT") else []
    return SdkAttempt(
        request._replace(method=method, target=target.decode("latin-1")),
        b"\r\n".join([*lines, b"", b""]) + wire,
        changed,
        tuple(dict.fromkeys(keys)),
        origin,
        is_json and changed == text and wire == _CODINGS.get(coding, bytes)(changed),
    )


@st.composite
def _mutated(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value in which one place is removed, replaced, or repeated."""
    places = list(_places(value, ()))[:_MOST_PLACES]
    place = draw(st.sampled_from(places))
    if not place:
        return draw(st.sampled_from((value, [value], {"batch": value}, {"data": value}, [])))
    *way, last = place
    parent = value
    for step in way:
        parent = parent[step]
    kind = draw(st.sampled_from(("remove", "replace", "replace", "replace", "repeat")))
    if kind == "remove":
        del parent[last]
    elif kind == "replace":
        parent[last] = draw(st.sampled_from(_HARD_VALUES).map(deepcopy) | _VALUES)
    elif isinstance(parent, list):
        times = draw(st.sampled_from(_MANY))
        if len(json.dumps(parent[last])) * times <= _LONGEST_REPEATED:
            parent[last : last + 1] = [parent[last]] * times
    else:
        parent[draw(st.sampled_from(_NAMES))] = parent[last]
    return value


def _places(value: Any, way: tuple[Any, ...]) -> Any:
    yield way
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inside:
        yield from _places(each, (*way, name))


KEYS: Final = (
    *[("open", "")] * 12,
    *[("keyed", SECRET)] * 6,
    *[("private", "")] * 3,
    *(("open", WRONG_SECRET), ("keyed", WRONG_SECRET), ("keyed", ""), ("private", ""), ("truncated", "")),
    *(("listed", ""), ("nobody", ""), ("none", ""), ("", ""), ("ID:" * 30, "")),
    *[(f"only-{dialect}", "") for dialect in DIALECTS],
)


def _keyed(text: str, key: tuple[str, str]) -> str:
    name, secret = key
    token = f"&token_auth={secret}" if secret else ""
    return text.replace(_KEY, f"{name}:{secret}" if secret else name).replace(_ID, name).replace(_TOKEN, token)


def _header(name: str, value: str, key: tuple[str, str]) -> bytes:
    if value == f"Basic {_KEY}":
        return b"Basic " + base64.b64encode(f"{_keyed(_KEY, key)}:".encode())
    return (key[1] if value == _TOKEN else _keyed(value, key)).encode("latin-1", "replace")


_HEADERS: Final = (
    *((b"sp-anonymous", b"*"), (b"user-agent", b"\xff\xe9\t\\" * 300), (b"user-agent", b"x" * 5000)),
    *((b"referer", b"https://e.example/" + b'"' * 4000), (b"x-forwarded-for", b"203.0.113.9, 10.0.0.1")),
    *((b"ce-specversion", b"1.0"), (b"ce-id", b"%ff%zz"), (b"ce-source", b"s" * 900), (b"idempotency-key", b"k")),
    *(
        (b"content-type", b"application/cloudevents+json"),
        (b"content-type", b"text/plain"),
        (b"sec-fetch-mode", b"no-cors"),
    ),
    *((b"authorization", b"Basic %%%"), (b"authorization", b"Bearer " + SECRET.encode()), (b"x-write-key", b"")),
)
_BOMB: Final = b'{"batch":[' + b" " * (6 << 20) + b"]}"


def _deflate(body: bytes) -> bytes:
    return zlib.compress(body)


def _zstd(body: bytes) -> bytes:
    return zstandard.compress(body)


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


_CODINGS: Final = {b"gzip": _gzip, b"deflate": _deflate, b"zstd": _zstd}


@st.composite
def _coded(draw: st.DrawFn, body: bytes) -> tuple[bytes, bytes]:
    """A content coding, empty for none, and the body as sent."""
    coding = draw(st.sampled_from((*[b""] * 8, b"gzip", b"gzip", b"deflate", b"zstd", b"br", b"unnamed", b"base64")))
    if coding == b"unnamed":
        return b"", _gzip(body)
    if coding == b"base64":
        return b"", b"data=" + base64.b64encode(draw(st.sampled_from((body, _gzip(body)))))
    if coding not in _CODINGS:
        return coding, body
    wire = _CODINGS[coding](body)
    fates = (wire, wire, wire, wire[: len(wire) // 2], wire + b"junk", wire * 2, _CODINGS[coding](_BOMB), body)
    return coding, draw(st.sampled_from(fates))


@st.composite
def _targets(draw: st.DrawFn, target: str) -> bytes:
    path, mark, query = target.encode().partition(b"?")
    path = draw(
        st.sampled_from((*[path] * 8, path.rstrip(b"/") + b"/", path.rstrip(b"/"), _escaped(path), path + b"x"))
    )
    kinds = ("same",) * 6 + ("junk", "twice", "cut", "many")
    kind = draw(st.sampled_from(kinds))
    if kind == "same" or not query:
        return path + mark + query
    changes = {"junk": query + b"&%zz=%ff&a=%01%01", "twice": query + b"&" + query, "cut": query[: len(query) // 2]}
    return path + mark + changes.get(kind, query + b"&a=1" * 1100)


def _escaped(path: bytes) -> bytes:
    return path[:1] + b"%%%02X" % path[1] + path[2:]
