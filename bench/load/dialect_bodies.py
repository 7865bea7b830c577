"""Requests of SDKs that cost a server more than they cost their sender: the worst of each dialect."""

import base64
import gzip
from collections.abc import Callable, Iterator
from typing import Final

import zstandard

from bench.load.bodies import BODY_BYTES, PRIVATE_PROP_ID, Body, array, posted
from bench.load.texts import repeated
from bench.load.traffic import get, post

_ID: Final = "33167.564990801"
_PRIVATE_ID: Final = f"33167.{PRIVATE_PROP_ID}"
_EVENTS: Final = 2500
_EVENT_BYTES: Final = 2048
_WRAPPED_BYTES: Final = 512 << 10
_URL_BYTES: Final = 20 << 10
_CLOUD_BATCH: Final = "application/cloudevents-batch+json"
_UNSTRUCT: Final = b"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
_UUID: Final = b"00000000-0000-0000-0000-000000000000"
_BEGIN: Final = {
    "segment": (b'{"writeKey":"%s","batch":', b"}"),
    "snowplow": (b'{"schema":"s","data":', b"}"),
    "matomo": (b'{"requests":', b"}"),
    "posthog": (b'{"api_key":"%s","batch":', b"}"),
    "cloudevents": (b"", b""),
}
_TARGETS: Final = {
    "segment": "/v1/batch?writeKey=%s",
    "snowplow": "/com.snowplowanalytics.snowplow/tp2?aid=%s",
    "matomo": "/matomo.php?idsite=%s",
    "posthog": "/batch/?api_key=%s",
    "cloudevents": "/event?id=%s",
}
_VALUES: Final[dict[str, Callable[[int], bytes]]] = {
    "brackets": lambda room: repeated(b"[", b",", b"[" * 60 + b"]" * 60, b"]", room),
    "texts": lambda room: repeated(b"[", b",", b'""', b"]", room),
    "addresses": lambda room: repeated(b"{", b",", b'"ip":{"ip":1}', b"}", room),
    "escapes": lambda room: repeated(b'"', b"", b"\\u00e9", b'"', room),
    "control characters": lambda room: repeated(b'"', b"", b"\\u0001", b'"', room),
    "3 bytes": lambda room: repeated(b'"', b"", "漢".encode(), b'"', room),
    "names": lambda room: b"{%b}" % b",".join([b'"%d":1' % at for at in range(room // 9)]),
}
"""Values that parsers are slow at, by name."""


def of_dialects() -> Iterator[Body]:
    """Each was worse than its bytes once, or reaches for a limit."""
    for kind in (_batches, _elements, _segment, _snowplow, _matomo, _posthog, _cloudevents, _compressed, _shared):
        yield from kind()


def _sent(
    dialect: str, name: str, body: bytes, events: int, *, private: bool = False, target: str = "", **headers: str
) -> Body:
    kind = headers.pop("kind", _CLOUD_BATCH if dialect == "cloudevents" else "text/plain")
    path = (target or _TARGETS[dialect]).replace("%s", _PRIVATE_ID if private else _ID)
    shown = f"{dialect}: {name}{', private' if private else ''}"
    return posted(shown, body, events, kind, path, **headers)


def _batch(dialect: str, events: bytes, *, private: bool = False) -> bytes:
    begin, end = _BEGIN[dialect]
    return begin.replace(b"%s", (_PRIVATE_ID if private else _ID).encode()) + events + end


def _event(dialect: str, value: bytes) -> bytes:
    """An event with a JSON value in it."""
    if dialect == "segment":
        return b'{"type":"track","event":"E","userId":"u","properties":{"v":%b}}' % value
    if dialect == "snowplow":
        return b'{"e":"ue","ue_pr":{"schema":"%b","data":{"schema":"iglu:a/b/jsonschema/1-0-0","data":%b}}}' % (
            _UNSTRUCT,
            value,
        )
    if dialect == "matomo":
        return b'{"rec":1,"e_c":"c","e_a":"a","uadata":%b}' % (value if value[:1] == b"{" else b'{"v":%b}' % value)
    if dialect == "posthog":
        return b'{"event":"E","distinct_id":"u","properties":{"v":%b}}' % value
    return b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"v":%b}}' % value


def _batches() -> Iterator[Body]:
    """2,500 events of 2 KiB, and 80 of 64 KiB."""
    for dialect in _TARGETS:
        for name, make in _VALUES.items():
            for private in (False, True):
                event = _event(dialect, make(_EVENT_BYTES - 200))
                number = min(_EVENTS, (BODY_BYTES - 200) // (len(event) + 1))
                body = _batch(dialect, array([event] * number), private=private)
                yield _sent(dialect, f"2,500 events, {name}", body, number, private=private)
            event = _event(dialect, make((64 << 10) - 300))
            number = (BODY_BYTES - 200) // (len(event) + 1)
            yield _sent(dialect, f"events of 64 KiB, {name}", _batch(dialect, array([event] * number)), number)


def _elements() -> Iterator[Body]:
    """Millions of elements, and nothing but brackets, in the place of the events."""
    room = BODY_BYTES - 200
    for dialect in _TARGETS:
        for name, body in {
            "2.6 million 1": repeated(b"[", b",", b"1", b"]", room),
            "2,500 elements of brackets": array([repeated(b"[", b",", b"[]", b"]", 2000)] * _EVENTS),
            "[[[[": b"[" * room,
            "brackets 60 deep": repeated(b"[", b",", b"[" * 60 + b"]" * 60, b"]", room),
            "an object of many members": repeated(b"{", b",", b'"a":1', b"}", room),
            "a string of escapes": repeated(b'"', b"", b"\\u00e9", b'"', room),
            "2 bytes": repeated(b'["', b"", "é".encode(), b'"]', room),
            "a lone surrogate, then 2 bytes": b'["\\ud800%b"]' % ("é".encode() * ((1 << 19) - 200)),
            "lone surrogates": repeated(b'["', b"", b"\\ud800", b'"]', (1 << 20) - 200),
            "pairs of backslashes and surrogates": repeated(b'["', b"", b"\\\\\\ud800", b'"]', (1 << 20) - 200),
            "2,500 short ones": array([b"{}"] * _EVENTS),
            "0xff": b"\xff" * room,
        }.items():
            yield _sent(dialect, name, _batch(dialect, body), 0 if "2,500" not in name else _EVENTS)


def _segment() -> Iterator[Body]:
    track = b'{"type":"track","event":"E"}'
    calls = array([track] * _EVENTS)
    for private in (False, True):
        key = (_PRIVATE_ID if private else _ID).encode()
        for name, context in {
            "32 KiB": repeated(b"{", b",", b'"%b":1' % (b"a" * 20), b"}", 32_000),
            "many members": b"{%b}" % b",".join([b'"%d":1' % at for at in range(3000)]),
            "a user agent": b'{"userAgent":"%b","ip":"1.2.3.4"}' % (b"\\u0001" * 1024),
            "5 MiB": repeated(b"{", b",", b'"a":1', b"}", BODY_BYTES - len(calls) - 300),
        }.items():
            body = b'{"writeKey":"%b","context":%b,"batch":%b}' % (key, context, calls)
            yield _sent("segment", f"a context of the batch, {name}", body, _EVENTS, private=private)
    products = repeated(b"[", b",", b'{"sku":1}', b"]", 9000)
    call = b'{"type":"track","event":"E","properties":{"products":%b}}' % products
    number = BODY_BYTES // (len(call) + 2)
    yield _sent("segment", "products", _batch("segment", array([call] * number)), number)
    own = [b'{"type":"track","event":"E","context":{"%d":%b}}' % (at, b"[[]]" * 1) for at in range(_EVENTS)]
    yield _sent("segment", "contexts that differ", _batch("segment", array(own)), _EVENTS)
    yield _sent("segment", "a call of 5 MiB", _event("segment", b'"%b"' % (b"a" * (BODY_BYTES - 300))), 1)
    unknown = array([b'{"type":"page","x%d":1,"properties":{}}' % at for at in range(_EVENTS)])
    yield _sent("segment", "unknown members", _batch("segment", unknown), _EVENTS)


def _snowplow() -> Iterator[Body]:
    room = BODY_BYTES - 200
    data = base64.urlsafe_b64encode(
        b'{"schema":"%b","data":{"schema":"iglu:a/b/jsonschema/1-0-0","data":%b}}'
        % (_UNSTRUCT, repeated(b"[", b",", b'""', b"]", 1200))
    )
    event = b'{"e":"ue","ue_px":"%b","sid":"%b","eid":"%b"}' % (data, _UUID, _UUID)
    yield _sent(
        "snowplow", "base64", _batch("snowplow", array([event] * (room // (len(event) + 1)))), room // len(event)
    )
    entity = b'{"schema":"iglu:a/b/jsonschema/1-0-0","data":{}}'
    contexts = b'{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0","data":%b}'
    for size in (2000, 180_000):
        event = b'{"e":"pv","co":%b}' % (contexts % repeated(b"[", b",", entity, b"]", size))
        number = min(_EVENTS, room // (len(event) + 1))
        yield _sent("snowplow", f"entities of {size:,} bytes", _batch("snowplow", array([event] * number)), number)
    for name, member in {"1,000 parameters": b'"%d":"1"', "1,000 numbers": b'"%d":1'}.items():
        event = b'{"e":"pv",%b}' % b",".join([member % at for at in range(990)])
        number = min(_EVENTS, room // (len(event) + 1))
        yield _sent("snowplow", name, _batch("snowplow", array([event] * number)), number)
    event = b'{"e":"pv","page":"%b"}' % (b"\\u0001" * 30_000)
    yield _sent("snowplow", "texts of 180 KB", _batch("snowplow", array([event] * 28)), 28)
    for name, unit in {"%01": "%01", "%": "%", "&": "&a", "+": "+"}.items():
        target = f"/i?e=pv&aid={_ID}&page=" + unit * ((_URL_BYTES - 200) // len(unit))
        yield Body(f"snowplow: GET of {name}", get(target), _URL_BYTES)


def _matomo() -> Iterator[Body]:
    room = BODY_BYTES - 200
    for name, unit in {
        "%01": b"%01",
        "%": b"%",
        "%zz": b"%zz",
        "pairs": b"&a",
        "+": b"+",
        "\\u0001": b"\\u0001",
    }.items():
        for size in (2000, 180_000):
            event = b'"?rec=1&v=%b"' % (unit * (size // len(unit)))
            number = min(_EVENTS, room // (len(event) + 1))
            for private in (False, True):
                body = _batch("matomo", array([event] * number))
                yield _sent("matomo", f"queries of {size:,} bytes of {name}", body, number, private=private)
    items = b"%5B%22a%22%5D"
    event = b'"?rec=1&idgoal=0&ec_items=[%b]"' % b",".join([items] * 150)
    number = min(_EVENTS, room // (len(event) + 1))
    yield _sent("matomo", "items", _batch("matomo", array([event] * number)), number)
    for name, unit in {"%": b"%", "%01": b"%01", "0xff": b"\xff", "a&": b"a&"}.items():
        yield _sent("matomo", f"form of {name}", b"rec=1&v=" + unit * (190_000 // len(unit)), 1)
        yield _sent("matomo", f"form of 5 MiB of {name}", b"rec=1&v=" + unit * (room // len(unit)), 1)
    yield _sent("matomo", "5 MiB of tokens", repeated(b"{", b"", b'token_auth":"a"', b"", room), 1)
    yield _sent("matomo", "5 MiB of one token", b'{token_auth"' + b" " * room, 1)
    yield _sent("matomo", "5 MiB of token_auth=", b"{" + b"token_auth=" * (room // 11), 1)


def _posthog() -> Iterator[Body]:
    event = _event("posthog", repeated(b"[", b",", b'""', b"]", 380_000))
    small = _batch("posthog", array([b'{"event":"E"}'] * _EVENTS))
    wrapped = base64.b64encode(small)
    for name, body in {
        "base64 of one event": base64.b64encode(event)[:_WRAPPED_BYTES],
        "base64 of 2,500 events": wrapped,
        "base64 of gzip of 2,500 events": base64.b64encode(gzip.compress(small, mtime=0)),
        "base64 in base64": base64.b64encode(b'{"data":"%b"}' % wrapped),
        "base64 of junk": b"A" * _WRAPPED_BYTES,
        "base64 of lone surrogates": base64.b64encode(repeated(b'["', b"", b"\\ud800", b'"]', 380_000)),
        "form of %": b"data=" + b"%" * (_WRAPPED_BYTES - 10),
        "form of %41": b"data=" + b"%41" * (_WRAPPED_BYTES // 3 - 10),
        "data of lone surrogates": b'{"data":"%b"}' % (b"\\ud800" * 170_000),
        "data of escapes": b'{"data":"%b"}' % (b"\\u0041" * 870_000),
    }.items():
        yield _sent("posthog", name, body, _EVENTS if "2,500" in name else 1)
    times = array(
        [b'{"event":"E","properties":{"$session_id":"%b","$ip":"::%x"}}' % (_UUID, at) for at in range(_EVENTS)]
    )
    for private in (False, True):
        yield _sent(
            "posthog", "addresses that differ", _batch("posthog", times, private=private), _EVENTS, private=private
        )


def _cloudevents() -> Iterator[Body]:
    data = b"\xff" * (96 << 10)
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "t", "ce-source": "%20" * 300}
    target = f"/event?id={_ID}"
    binary = {
        "binary": b"application/octet-stream",
        "brackets": b"application/json",
        "lone surrogates": b"application/json",
    }
    bodies = {
        "binary": data,
        "brackets": b"[" * 60_000 + b"]" * 60_000,
        "lone surrogates": b'"%b"' % (b"\\ud800" * 20_000),
    }
    for name, kind in binary.items():
        yield Body(f"cloudevents: {name} data", post(bodies[name], kind.decode(), target, headers), len(bodies[name]))
    many = headers | {f"ce-x{at}": "%" * 300 for at in range(90)}
    yield Body("cloudevents: 90 attributes", post(b"{}", "application/json", target, many), 2)
    escapes = headers | {"ce-long": "%01" * 9000, "ce-quoted": '"' + "\\a" * 9000 + '"'}
    yield Body("cloudevents: long attributes", post(b"{}", "application/json", target, escapes), 2)
    blank = b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":{},"datacontenttype":"a/json%bx"}' % (
        b" " * 60_000
    )
    yield Body("cloudevents: a type of spaces", post(blank, "application/cloudevents+json", target), len(blank))


def _compressed() -> Iterator[Body]:
    for dialect in _TARGETS:
        event = _event(dialect, repeated(b"[", b",", b"[" * 60 + b"]" * 60, b"]", 1700))
        numbered = [event[:-1] + b',"n":"%0120x"}' % (at * 7**40) for at in range(2400)]
        body = _batch(dialect, array(numbered))
        for name, packed in {"gzip": gzip.compress(body, 9, mtime=0), "zstd": zstandard.compress(body)}.items():
            sent = _sent(dialect, f"{name} of 2,400 events", packed, 2400, content_encoding=name)
            yield sent._replace(length=len(body))
        members = gzip.compress(b"", mtime=0) * 999 + gzip.compress(_batch(dialect, array([event])), mtime=0)
        yield _sent(dialect, "gzip of 1,000 members", members, 1)._replace(length=3000)


def _shared() -> Iterator[Body]:
    """Many properties, keys and senders in one body."""
    hops = ",".join(["10.0.0.1"] * 3000)
    for name, key in {"keys": b"%b:%d", "unknown properties": b"x%b%d"}.items():
        keys = [key % (_ID.encode(), at) for at in range(_EVENTS)]
        calls = [b'{"type":"track","event":"E","writeKey":"%b"}' % each for each in keys]
        body = b'{"batch":%b}' % array(calls)
        yield _sent("segment", f"2,500 {name}", body, _EVENTS, target="/v1/batch", x_forwarded_for=hops)
        calls = [b'{"type":"track","event":"E","writeKey":"%b"}' % keys[at % 16] for at in range(_EVENTS)]
        body = b'{"batch":%b}' % array(calls)
        yield _sent("segment", f"16 {name}", body, _EVENTS, target="/v1/batch", x_forwarded_for=hops)
    events = [b'{"e":"pv","aid":"%b","ip":"::%x","ua":"%b"}' % (_ID.encode(), at, b"u" * 900) for at in range(_EVENTS)]
    yield _sent("snowplow", "user agents", _batch("snowplow", array(events)), _EVENTS)
    bad = [b'{"e":"%d","aid":"%b","ip":"::%x"}' % (at, _PRIVATE_ID.encode(), at) for at in range(_EVENTS)]
    yield _sent("snowplow", "bad events", _batch("snowplow", array(bad)), _EVENTS, private=True)
