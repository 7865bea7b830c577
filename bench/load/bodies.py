"""Requests that cost a server more than they cost who sends them: those that did once, and more of every shape.

All of them are within the default limits, or just over, since it costs something to find that out.
"""

import gzip
import random
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Final, NamedTuple

import zstandard

from bench.load.event import TARGET, encoded, others
from bench.load.texts import Text, cart, repeated, texts
from bench.load.traffic import get, post

Compress = Callable[[bytes], bytes]

PRIVATE_PROP_ID: Final = 2
"""A property that stores no addresses and no user agents: what its events hold of them is looked for."""
_PRIVATE: Final = TARGET.replace("prop_id=564990801", f"prop_id={PRIVATE_PROP_ID}")
_EVENTS: Final = 1000
_EVENT_BYTES: Final = 64 << 10
_BODY_BYTES: Final = 5 << 20
_FORM_BYTES: Final = 3 * _EVENT_BYTES
_URL_BYTES: Final = 20 << 10
_HEADER_BYTES: Final = 32 << 10
_MOST_HEADERS: Final = 256
_RATIO: Final = 100
_JSON: Final = "application/json"
_NDJSON: Final = "application/x-ndjson"
_FORM: Final = "application/x-www-form-urlencoded"
_SIX: Final = b'"ea":"view","ec":"product","sid":6320,"aid":"3840","uid":"u-8812"'
_BAD_SIX: Final = b'"ea":1,"ec":"product","sid":6320,"aid":"3840","uid":"u-8812"'
_QUERY: Final = "ea=view&ec=product&sid=6320&aid=3840&uid=u-8812"
_SEED: Final = 14
NAMED: Final = frozenset(
    (
        "zstd of 80 events, brackets 60 deep",
        "zstd of 994 elements, [1,1,…]",
        "zstd of a form of 0xff",
        "zstd of 1,000 refused events",
        "gzip of a batch of 5 MiB, ratio under 100",
        "deflate of a batch of 5 MiB, ratio under 100",
        "zstd of a batch of 5 MiB, ratio under 100",
        "an array of 2.6 million 1",
        "form of 98,000 pairs",
        "form of 0xff",
        "8 KB of trusted hops",
        "30 KB of Forwarded: ,,,",
        "a batch of 700, long User-Agent and Referer",
        "1,000 events, carts",
        "1,000 events, brackets",
        "1,000 bad events, carts",
        "1,000 bad events, carts, private",
        "1,000 events, the last one bad",
        "80 events of 64 KiB, all bad",
        "NDJSON: 5 million blank lines",
    )
)
"""Those that did harm once, and a few beside them: they are measured whatever comes of it."""
_SIZES: Final = (64 << 10, 1 << 20, _BODY_BYTES)
_COMPRESSIONS: Final[dict[str, Compress]] = {
    "gzip": partial(gzip.compress, compresslevel=9, mtime=0),
    "deflate": partial(zlib.compress, level=9),
    "zstd": zstandard.compress,
}


class Body(NamedTuple):
    """A request; the bytes that it brings, without its content encoding, and the events among them."""

    name: str
    request: bytes
    length: int
    events: int = 1


def known() -> Iterator[Body]:
    """Those that have a name: each was worse than its bytes once, or reaches for another limit."""
    for kind in (_compressed, _junk, _forms, _headers, _batches, _lines, _framing, _singles):
        yield from kind()


def found(number: int) -> Iterator[Body]:
    """So many shapes of texts in events, batches and junk of all sizes, drawn without a repetition."""
    every = [
        (text, way, size, target)
        for text in texts()
        for way in _WAYS
        for size in (_SIZES[:1] if way == "an event" else _SIZES)
        for target in (TARGET, _PRIVATE)
    ]
    for text, way, size, target in random.Random(_SEED).sample(every, min(number, len(every))):
        body = _WAYS[way](text, size, target)
        private = ", private" if target == _PRIVATE else ""
        yield body._replace(name=f"{way}, {body.length >> 10:,} KiB{private}: {text.name}")


def _posted(name: str, body: bytes, events: int = 1, kind: str = _JSON, target: str = TARGET, **headers: str) -> Body:
    """`content_encoding` is one of the headers; `length` is that of what is inside."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Body(name, post(body, kind, target, named), len(body), events)


def _encoded(name: str, encoding: str, inflated: bytes, events: int, kind: str = _JSON, target: str = TARGET) -> Body:
    sent = _COMPRESSIONS[encoding](inflated)
    return Body(name, post(sent, kind, target, {"content-encoding": encoding}), len(inflated), events)


def _compressed() -> Iterator[Body]:
    deep = b"{%b,%b}" % (_SIX, b'"v":' + repeated(b"[", b",", b"[" * 60 + b"]" * 60, b"]", _EVENT_BYTES - 200))
    yield _encoded("zstd of 80 events, brackets 60 deep", "zstd", b"[" + b",".join([deep] * 80) + b"]", 80)
    yield _encoded("zstd of 994 elements, [1,1,…]", "zstd", repeated(b"[", b",", b"1", b"]", 2 * 994), 994)
    yield _encoded("zstd of a form of 0xff", "zstd", b"\xff" * _FORM_BYTES, 1, _FORM)
    yield _encoded("zstd of 1,000 refused events", "zstd", _array([b"{%b}" % _BAD_SIX] * _EVENTS), _EVENTS)
    yield _encoded("gzip of 5 MiB of nothing", "gzip", b" " * _BODY_BYTES, 0)
    for encoding in _COMPRESSIONS:
        for name, inflated in (("a batch of 5 MiB", _at_ratio), ("5 MiB of blank lines", _lines_at_ratio)):
            body = inflated(_COMPRESSIONS[encoding])
            kind = _NDJSON if "lines" in name else _JSON
            yield _encoded(f"{encoding} of {name}, ratio under 100", encoding, body, _EVENTS, kind)
    members = gzip.compress(b"", mtime=0) * 999 + gzip.compress(b"{%b}" % _SIX, mtime=0)
    yield Body("gzip of 1,000 members", post(members, headers={"content-encoding": "gzip"}), 200)
    yield Body("zstd of frames without content", _frames(250_000), 5000 << 10, 0)
    yield Body("gzip of junk", post(random.Random(_SEED).randbytes(_BODY_BYTES), headers=_GZIP), _BODY_BYTES)
    digits = random.Random(_SEED).randbytes(_BODY_BYTES - 4096).hex().encode()
    yield Body(
        "gzip that ends too soon", post(gzip.compress(digits, mtime=0)[:_BODY_BYTES], headers=_GZIP), _BODY_BYTES
    )


_GZIP: Final = {"content-encoding": "gzip"}


def _frames(number: int) -> bytes:
    empty = zstandard.compress(b"")
    return post((empty * number)[: _BODY_BYTES // len(empty) * len(empty)], headers={"content-encoding": "zstd"})


def _junk() -> Iterator[Body]:
    yield _posted("an array of 2.6 million 1", repeated(b"[", b",", b"1", b"]", _BODY_BYTES), 0)
    yield _posted("an array of 1.7 million {}", repeated(b"[", b",", b"{}", b"]", _BODY_BYTES), 0)
    yield _posted(
        "an array of 2.6 million 1 that is not UTF-8", repeated(b"[", b",", b"1", b',"\xff"]', _BODY_BYTES), 0
    )
    yield _posted("an array of 2.6 million 1 without its end", repeated(b"[", b",", b"1", b"", _BODY_BYTES), 0)
    yield _posted("[[[[… of 5 MiB", b"[" * _BODY_BYTES, 0)
    yield _posted("5 MiB of spaces", b" " * _BODY_BYTES, 0)
    yield _posted("5 MiB of spaces around one event", b" " * (_BODY_BYTES - 200) + b"{%b}" % _SIX)
    yield _posted("a batch of one event after 5 MiB of spaces", b"[" + b" " * (_BODY_BYTES - 200) + b"{%b}]" % _SIX)
    yield _posted("an object of 5 MiB", repeated(b"{%b," % _SIX, b",", b'"a":1', b"}", _BODY_BYTES))
    yield _posted("a string of 5 MiB", b'["%b"]' % (b"a" * (_BODY_BYTES - 4)))
    yield _posted("a string of escapes of 5 MiB", repeated(b'["', b"", b"\\u00e9", b'"]', _BODY_BYTES))
    yield _posted("0xff of 5 MiB", b"\xff" * _BODY_BYTES)
    yield _posted("one byte too much of 5 MiB", b"[" * (_BODY_BYTES + 1))
    yield _posted("990 elements of 5 KiB of 1", _array([repeated(b"[", b",", b"1", b"]", 5200)] * 990), 990)


def _forms() -> Iterator[Body]:
    head = _QUERY.encode() + b"&"
    for name, body in {
        "98,000 pairs": b"a&" * (_FORM_BYTES // 2),
        "65,000 pairs a=": b"a=&" * (_FORM_BYTES // 3),
        "0xff": b"\xff" * _FORM_BYTES,
        "a name and 0xff": head + b"v=" + b"\xff" * (_FORM_BYTES - 100),
        "%ff": head + repeated(b"v=", b"", b"%ff", b"", _EVENT_BYTES),
        "%": head + repeated(b"v=", b"", b"%", b"", _FORM_BYTES - 100),
        "%zz": head + repeated(b"v=", b"", b"%zz", b"", _FORM_BYTES - 100),
        "%41%": head + repeated(b"v=", b"", b"%41%", b"", _FORM_BYTES - 100),
        "line breaks and %41": head + repeated(b"v=", b"", b"\n%41", b"", _FORM_BYTES - 100),
        "999 pairs of %": head + repeated(b"", b"&", b"a=" + b"%" * 190, b"", _FORM_BYTES - 100),
        "an_session": head + repeated(b"", b"&", b"an_session=a", b"", _FORM_BYTES - 100),
        "a context of brackets": head + b"context=" + repeated(b"[", b",", b"[]", b"]", _EVENT_BYTES),
        "5 MiB of pairs": b"a&" * (_BODY_BYTES // 2),
    }.items():
        yield _posted(f"form of {name}", body, kind=_FORM)
        if name in ("%", "98,000 pairs", "an_session"):
            yield _posted(f"form of {name}, private", body, kind=_FORM, target=_PRIVATE)
    for name, unit in {"%": "%", "%ff": "%ff", "%zz": "%zz", "&": "&", "a&": "a&", "+": "+"}.items():
        query = f"{_QUERY}&v=" + unit * ((_URL_BYTES - 200) // len(unit))
        yield Body(f"GET of {name}", get(f"{TARGET}&{query}"), _URL_BYTES)
    sessions = "&an_session=a" * ((_URL_BYTES - 200) // 13)
    yield _posted("POST with 1,500 an_session", b"{%b}" % _SIX, target=TARGET + sessions)
    redirect = f"{TARGET.replace('json', 'redirect')}&redirect_url=https://x.example/{'%' * 19_000}"
    yield _posted("redirect to %%%", b"{%b}" % _SIX, target=redirect)


def _headers() -> Iterator[Body]:
    for name, headers in {
        "8 KB of trusted hops": {"x-forwarded-for": ",".join(["127.0.0.1"] * 800)},
        "30 KB of trusted hops": {"x-forwarded-for": ",".join(["127.0.0.1"] * 3000)},
        "30 KB of hops, ::1": {"x-forwarded-for": ",".join(["::1"] * 7500)},
        "30 KB of different hops": {"x-forwarded-for": ",".join(f"127.0.{n % 256}.{n // 256}" for n in range(2400))},
        "30 KB of X-Forwarded-For: ,,,": {"x-forwarded-for": "," * 30_000},
        "30 KB of X-Forwarded-For: 1.1.1.": {"x-forwarded-for": "1." * 15_000},
        "30 KB of Forwarded: ,,,": {"forwarded": "," * 30_000},
        "30 KB of Forwarded: ;;;": {"forwarded": ";" * 30_000},
        "30 KB of Forwarded: for=127.0.0.1": {"forwarded": ",".join(["for=127.0.0.1"] * 2100)},
        "30 KB of Cookie: a=b;": {"cookie": "a=b;" * 7500},
        "30 KB of Cookie: ;;;": {"cookie": ";" * 30_000},
        "30 KB of Referer": {"referer": "\xff" * 30_000},
        "30 KB of User-Agent": {"user-agent": '"' * 30_000},
        "30 KB of Origin": {"origin": "https://" + "a." * 15_000},
        "a token of 20 KB in a cookie": {"cookie": "an_session_33167=" + "A" * 20_000},
    }.items():
        yield Body(name, post(b"{%b}" % _SIX, headers=headers), len(_SIX) + 2)
    many = {f"x-{number}": "a" * 100 for number in range(_MOST_HEADERS - 10)}
    yield Body("246 headers", post(b"{%b}" % _SIX, headers=many), len(_SIX) + 2)
    agent = {"user_agent": "u" * 1024, "referer": "r" * 4096}
    yield _posted("a batch of 700, long User-Agent and Referer", _array([b"{%b}" % _SIX] * 700), 700, **agent)
    yield _posted("a batch of 1,000 bad, long headers", _array([b"{}"] * _EVENTS), _EVENTS, **agent)
    controls = {"user_agent": '\x7f\xff"' * 300, "referer": '"' * 4096}
    yield _posted("a batch of 1,000, headers to be escaped", _array([b"{%b}" % _SIX] * _EVENTS), _EVENTS, **controls)


def _batches() -> Iterator[Body]:
    """5 MiB of 1,000 events."""
    room = _BODY_BYTES // _EVENTS - 150
    values = {
        "carts": cart(room),
        "one string": repeated(b'"', b"", b"a", b'"', room),
        "brackets": repeated(b"[", b",", b"[" * 60 + b"]" * 60, b"]", room),
        "[],[]": repeated(b"[", b",", b"[]", b"]", room),
        "escaped quotes": repeated(b'"', b"", b'\\"', b'"', room),
        "line breaks": repeated(b"[", b",\n", b"1", b"]", room),
        "4 bytes a character": repeated(b'"', b"", "😀".encode(), b'"', room),
        "names of addresses": repeated(b"{", b",", b'"ip":1', b"}", room),
        "objects in objects": repeated(b"{", b",", b'"user":{"ip":{"ip":1}}', b"}", room),
        "escaped names": repeated(b"{", b",", b'"\\u0069p":1', b"}", room),
    }
    for name, value in values.items():
        for target in (TARGET, _PRIVATE):
            private = ", private" if target == _PRIVATE else ""
            good, bad = (b'{%b,"context":{"v":%b}}' % (six, value) for six in (_SIX, _BAD_SIX))
            yield _posted(f"1,000 events, {name}{private}", _array([good] * _EVENTS), _EVENTS, target=target)
            yield _posted(f"1,000 bad events, {name}{private}", _array([bad] * _EVENTS), _EVENTS, target=target)
    mixed = [encoded(event) for event in others(_EVENTS - 1)]
    yield _posted("1,000 events, the last one bad", _array([*mixed, b"[]"]), _EVENTS)
    yield _posted("1,000 events, the last one cut", _array([*mixed, b'{"a":'])[:-1], 0)
    different = [b'{%b,"%d":1}' % (_BAD_SIX.replace(b"6320", b'"x%d"' % n), n) for n in range(_EVENTS)]
    yield _posted("1,000 bad events, each its own way", _array(different), _EVENTS)
    wrong = b'{"ea":1,"ec":1,"sid":"x","aid":[],"uid":{},"context":1,"extra":1,"dims":1,"items":1}'
    yield _posted("1,000 events, all fields wrong", _array([wrong] * _EVENTS), _EVENTS)
    yield _posted("80 events of 64 KiB, all bad", _array([_large(_BAD_SIX)] * 80), 80)
    yield _posted("80 events of 64 KiB, all bad, private", _array([_large(_BAD_SIX)] * 80), 80, target=_PRIVATE)


def _large(six: bytes) -> bytes:
    return b'{%b,"v":%b}' % (six, cart(_EVENT_BYTES - 200))


def _lines() -> Iterator[Body]:
    one = b"{%b}" % _SIX
    for name, body, events in (
        ("5 million blank lines", b"\n" * _BODY_BYTES, 0),
        ("2.6 million lines of a space", b" \n" * (_BODY_BYTES // 2), 0),
        ("2.6 million CRLF", b"\r\n" * (_BODY_BYTES // 2), 0),
        ("an event after 5 million blank lines", b"\n" * (_BODY_BYTES - 200) + one, 0),
        ("2.6 million lines of 1", b"1\n" * (_BODY_BYTES // 2), 0),
        ("1,000 lines of 5 KiB of spaces", (b" " * 5000 + b"\n") * 999 + one, 1),
        ("1,000 events with blank lines between", (one + b"\n\n") * _EVENTS, _EVENTS),
        ("1,000 events that are not UTF-8", (b'{%b,"v":"\xff%b"}\n' % (_SIX, b"a" * 5000)) * _EVENTS, _EVENTS),
        ("1,000 lines cut in the middle", (b'{%b,"v":[%b\n' % (_SIX, b"1," * 2500)) * _EVENTS, _EVENTS),
        ("1,000 lines of [[[[", (b"[" * 5200 + b"\n") * _EVENTS, _EVENTS),
        ("one line of 5 MiB", b"a" * _BODY_BYTES, 1),
    ):
        yield _posted(f"NDJSON: {name}", body, events, _NDJSON)


def _framing() -> Iterator[Body]:
    one = b'{%b,"v":"%b"}'
    for size, name in ((1, "a byte"), (16, "16 bytes")):
        body = one % (_SIX, b"a" * (60_000 if size == 1 else _EVENT_BYTES - 200))
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in _cut(body, size))
        yield Body(f"chunks of {name}", post(chunks + b"0\r\n\r\n", headers=_CHUNKED), len(body))
    long = _cut(b"[" * 2_000_000, 1)
    yield Body(
        "2 million chunks of a byte",
        post(b"".join(b"1\r\n%b\r\n" % each for each in long) + b"0\r\n\r\n", headers=_CHUNKED),
        2_000_000,
    )
    trailers = b"0\r\n" + b"".join(b"x-%d: a\r\n" % number for number in range(200)) + b"\r\n"
    yield Body("200 trailers", post(trailers, headers=_CHUNKED), 0)


_CHUNKED: Final = {"transfer-encoding": "chunked"}


def _cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def _singles() -> Iterator[Body]:
    for name, value in {
        "[],[]": repeated(b"[", b",", b"[]", b"]", _EVENT_BYTES - 200),
        "brackets 60 deep": repeated(b"[", b",", b"[" * 60 + b"]" * 60, b"]", _EVENT_BYTES - 200),
        "numbers of 4,000 digits": repeated(b"[", b",", b"9" * 4000, b"]", _EVENT_BYTES - 200),
        "a number of 64,000 digits": b"9" * 64_000,
        "a fraction of 64,000 digits": b"0." + b"3" * 64_000,
        "an exponent of 64,000 digits": b"1e" + b"9" * 64_000,
    }.items():
        yield _posted(f"an event of {name}", b'{%b,"v":%b}' % (_SIX, value))
    yield _posted("an aid of 64,000 digits", b'{"ea":"a","ec":"b","sid":1,"uid":"u","aid":%b}' % (b"9" * 64_000))
    yield _posted("a sid of 64,000 digits", b'{"ea":"a","ec":"b","aid":"a","uid":"u","sid":"%b"}' % (b"9" * 64_000))
    yield _posted("50,000 [ in an event", b'{%b,"v":%b}' % (_SIX, b"[" * 50_000))
    yield _posted("30,000 levels in an event", b'{%b,"v":%b}' % (_SIX, b"[" * 30_000 + b"]" * 30_000))


def _array(events: list[bytes]) -> bytes:
    return b"[%b]" % b",".join(events)


def _at_ratio(compress: Compress) -> bytes:
    """A batch of nearly 5 MiB of the shape that costs most, with so much noise that it may be inflated."""
    room = _BODY_BYTES // _EVENTS - 150
    brackets = repeated(b"[", b",", b"[" * 60 + b"]" * 60, b"]", room - 400)
    return _with_noise(
        compress, lambda noise: _array([b'{%b,"v":%b,"n":"%b"}' % (_SIX, brackets, each) for each in noise])
    )


def _lines_at_ratio(compress: Compress) -> bytes:
    return _with_noise(compress, lambda noise: b"\n".join(noise) + b"\n" * (_BODY_BYTES - 500_000))


def _with_noise(compress: Compress, make: Callable[[list[bytes]], bytes]) -> bytes:
    """The least noise in each of 1,000 places with which a body is under the ratio."""
    for digits in count(8, 4):
        draw = random.Random(_SEED)
        body = make([b"%0*x" % (digits, draw.getrandbits(4 * digits)) for _ in range(_EVENTS)])
        if len(body) < _RATIO * len(compress(body)):
            return body
    raise AssertionError


def _one(text: Text, size: int, target: str) -> Body:
    value = text.make(min(size, _EVENT_BYTES) - 200)
    return _posted("", b'{%b,"context":{"v":%b}}' % (_SIX, value), target=target)


def _batch(text: Text, size: int, target: str, six: bytes = _SIX) -> Body:
    value = text.make(size // _EVENTS - 150 if size == _BODY_BYTES else 800)
    event = b'{%b,"context":{"v":%b}}' % (six, value)
    events = min(_EVENTS, max(1, (size - 2) // (len(event) + 1)))
    return _posted("", _array([event] * events), events, target=target)


def _large_batch(text: Text, size: int, target: str) -> Body:
    event = b'{%b,"context":{"v":%b}}' % (_SIX, text.make(_EVENT_BYTES - 200))
    events = min(_EVENTS, max(1, (size - 2) // (len(event) + 1)))
    return _posted("", _array([event] * events), events, target=target)


def _junk_array(text: Text, size: int, target: str) -> Body:
    return _posted("", text.make(size), 0, target=target)


def _line_batch(text: Text, size: int, target: str) -> Body:
    value = text.make(min(size // _EVENTS, 5000)).replace(b"\n", b" ").replace(b"\r", b" ")
    line = b'{%b,"v":%b}\n' % (_SIX, value)
    events = min(_EVENTS, max(1, size // len(line)))
    return _posted("", line * events, events, _NDJSON, target)


_WAYS: Final[dict[str, Callable[[Text, int, str], Body]]] = {
    "an event": _one,
    "a batch": _batch,
    "a batch of bad events": partial(_batch, six=_BAD_SIX),
    "events of 64 KiB": _large_batch,
    "no events": _junk_array,
    "NDJSON": _line_batch,
}
