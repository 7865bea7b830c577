"""Requests of SDKs for every dialect as they may come, drawn by Hypothesis: whole, or mutated in any way."""

import base64
import gzip
import json
import zlib
from copy import deepcopy
from typing import Any, Final, NamedTuple

import zstandard
from hypothesis import strategies as st

from tests.contract.hostile import mutations
from tests.contract.sdk_requests import AGENT, DIALECTS, ID, KEY, NAMES, TOKEN, VALUES, SdkRequest, made
from tests.running import WRITE_KEYS

SECRET: Final = WRITE_KEYS["TRACKLOG_TEST_KEY_A"]
WRONG_SECRET: Final = "wrong-0123456789abcdef"
SHOP: Final = b"https://shop.example.com"
_DEEP: Final = "@DEEP@"
_HARD_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, 0, -1, 2**70, 1e308, 0.5, "", "1", "é", "\ud800", "a\ud800b", "\0", "\n", _DEEP, [], {}, [[]], [{}]),
    *("x" * 300, "x" * 70_000, "\x01" * 1000, "%01" * 300, '"' * 300, [1] * 3000, [{"a": 1}] * 1001),
    *({"ip": "203.0.113.77", "userAgent": AGENT}, {"library": {"name": "analytics-python"}}, "203.0.113.77"),
    *("e=pv", "?rec=1&e_c=a&e_a=b&ua=%01%01", "2026-01-01T00:00:00Z", 1700000000000, "srv", "1.0"),
)
_MOST_PLACES: Final = 400
_MANY: Final = (2, 2, 2, 40, 2500, 2501)
_LONGEST_REPEATED: Final = 400_000


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


@st.composite
def sdk_attempts(draw: st.DrawFn, all_recorded: list[SdkRequest]) -> SdkAttempt:
    """Any request of an SDK: whole, or mutated."""
    request = draw(st.sampled_from(all_recorded) | made())
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
        parent[last] = draw(st.sampled_from(_HARD_VALUES).map(deepcopy) | VALUES)
    elif isinstance(parent, list):
        times = draw(st.sampled_from(_MANY))
        if len(json.dumps(parent[last])) * times <= _LONGEST_REPEATED:
            parent[last : last + 1] = [parent[last]] * times
    else:
        parent[draw(st.sampled_from(NAMES))] = parent[last]
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
    return text.replace(KEY, f"{name}:{secret}" if secret else name).replace(ID, name).replace(TOKEN, token)


def _header(name: str, value: str, key: tuple[str, str]) -> bytes:
    if value == f"Basic {KEY}":
        return b"Basic " + base64.b64encode(f"{_keyed(KEY, key)}:".encode())
    return (key[1] if value == TOKEN else _keyed(value, key)).encode("latin-1", "replace")


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
