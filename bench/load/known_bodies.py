"""Requests that cost a server more than they cost their sender: those that did harm once, and some for each limit.

All of them are within the default limits, or just over, since it costs something to find that out.
"""

from collections.abc import Iterator
from typing import Final

from bench.load.bodies import (
    BAD_SIX,
    BODY_BYTES,
    EVENT_BYTES,
    EVENTS,
    NDJSON,
    PRIVATE,
    SIX,
    Body,
    array,
    posted,
)
from bench.load.compressed_bodies import FORM, FORM_BYTES, compressed
from bench.load.dialect_bodies import of_dialects
from bench.load.event import TARGET, encoded, others
from bench.load.texts import cart, repeated
from bench.load.traffic import get, post

_URL_BYTES: Final = 20 << 10
_MOST_HEADERS: Final = 256
_QUERY: Final = "ea=view&ec=product&sid=6320&aid=3840&uid=u-8812"
NAMED: Final = frozenset(
    (
        "zstd of 80 events, brackets 60 deep",
        "zstd of 994 elements, [1,1,…]",
        "zstd of a form of 0xff",
        "zstd of 1,000 refused events",
        "gzip of a batch of 5 MiB, ratio under 100",
        "deflate of a batch of 5 MiB, ratio under 100",
        "zstd of a batch of 5 MiB, ratio under 100",
        "deflate of empty blocks",
        "an array of 2.6 million 1",
        "form of 98,000 pairs",
        "form of 0xff",
        "redirect to a host of 9,500 labels",
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
        "segment: 2,500 events, brackets",
        "segment: a context of the batch, a user agent",
        "segment: 2,500 keys",
        "snowplow: events of 64 KiB, brackets",
        "matomo: 5 MiB of one token",
        "posthog: addresses that differ",
        "cloudevents: 2,500 events, brackets",
        "cloudevents: a type of spaces",
    )
)
"""Those that did harm once, and a few beside them: they are measured whatever comes of it."""


def known() -> Iterator[Body]:
    """Those that have a name: each was worse than its bytes once, or reaches for another limit."""
    for kind in (compressed, _junk, _forms, _headers, _batches, _lines, _framing, _singles, of_dialects):
        yield from kind()


def _junk() -> Iterator[Body]:
    yield posted("an array of 2.6 million 1", repeated(b"[", b",", b"1", b"]", BODY_BYTES), 0)
    yield posted("an array of 1.7 million {}", repeated(b"[", b",", b"{}", b"]", BODY_BYTES), 0)
    yield posted("an array of 2.6 million 1 that is not UTF-8", repeated(b"[", b",", b"1", b',"\xff"]', BODY_BYTES), 0)
    yield posted("an array of 2.6 million 1 without its end", repeated(b"[", b",", b"1", b"", BODY_BYTES), 0)
    yield posted("[[[[… of 5 MiB", b"[" * BODY_BYTES, 0)
    yield posted("5 MiB of spaces", b" " * BODY_BYTES, 0)
    yield posted("5 MiB of spaces around one event", b" " * (BODY_BYTES - 200) + b"{%b}" % SIX)
    yield posted("a batch of one event after 5 MiB of spaces", b"[" + b" " * (BODY_BYTES - 200) + b"{%b}]" % SIX)
    yield posted("an object of 5 MiB", repeated(b"{%b," % SIX, b",", b'"a":1', b"}", BODY_BYTES))
    yield posted("a string of 5 MiB", b'["%b"]' % (b"a" * (BODY_BYTES - 4)))
    yield posted("a string of escapes of 5 MiB", repeated(b'["', b"", b"\\u00e9", b'"]', BODY_BYTES))
    yield posted("0xff of 5 MiB", b"\xff" * BODY_BYTES)
    yield posted("one byte too much of 5 MiB", b"[" * (BODY_BYTES + 1))
    yield posted("990 elements of 5 KiB of 1", array([repeated(b"[", b",", b"1", b"]", 5200)] * 990), 990)


def _forms() -> Iterator[Body]:
    head = _QUERY.encode() + b"&"
    for name, body in {
        "98,000 pairs": b"a&" * (FORM_BYTES // 2),
        "65,000 pairs a=": b"a=&" * (FORM_BYTES // 3),
        "0xff": b"\xff" * FORM_BYTES,
        "a name and 0xff": head + b"v=" + b"\xff" * (FORM_BYTES - 100),
        "%ff": head + repeated(b"v=", b"", b"%ff", b"", EVENT_BYTES),
        "%": head + repeated(b"v=", b"", b"%", b"", FORM_BYTES - 100),
        "%zz": head + repeated(b"v=", b"", b"%zz", b"", FORM_BYTES - 100),
        "%41%": head + repeated(b"v=", b"", b"%41%", b"", FORM_BYTES - 100),
        "line breaks and %41": head + repeated(b"v=", b"", b"\n%41", b"", FORM_BYTES - 100),
        "999 pairs of %": head + repeated(b"", b"&", b"a=" + b"%" * 190, b"", FORM_BYTES - 100),
        "an_session": head + repeated(b"", b"&", b"an_session=a", b"", FORM_BYTES - 100),
        "a context of brackets": head + b"context=" + repeated(b"[", b",", b"[]", b"]", EVENT_BYTES),
        "5 MiB of pairs": b"a&" * (BODY_BYTES // 2),
    }.items():
        yield posted(f"form of {name}", body, kind=FORM)
        if name in ("%", "98,000 pairs", "an_session"):
            yield posted(f"form of {name}, private", body, kind=FORM, target=PRIVATE)
    for name, unit in {"%": "%", "%ff": "%ff", "%zz": "%zz", "&": "&", "a&": "a&", "+": "+"}.items():
        query = f"{_QUERY}&v=" + unit * ((_URL_BYTES - 200) // len(unit))
        yield Body(f"GET of {name}", get(f"{TARGET}&{query}"), _URL_BYTES)
    sessions = "&an_session=a" * ((_URL_BYTES - 200) // 13)
    yield posted("POST with 1,500 an_session", b"{%b}" % SIX, target=TARGET + sessions)
    redirect = f"{TARGET.replace('json', 'redirect')}&redirect_url=https://x.example/{'%' * 19_000}"
    yield posted("redirect to %%%", b"{%b}" % SIX, target=redirect)
    labels = f"{TARGET.replace('json', 'redirect')}&redirect_url=http://{'a.' * 9500}b/"
    yield posted("redirect to a host of 9,500 labels", b"{%b}" % SIX, target=labels)


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
        yield Body(name, post(b"{%b}" % SIX, headers=headers), len(SIX) + 2)
    many = {f"x-{number}": "a" * 100 for number in range(_MOST_HEADERS - 10)}
    yield Body("246 headers", post(b"{%b}" % SIX, headers=many), len(SIX) + 2)
    agent = {"user_agent": "u" * 1024, "referer": "r" * 4096}
    yield posted("a batch of 700, long User-Agent and Referer", array([b"{%b}" % SIX] * 700), 700, **agent)
    yield posted("a batch of 1,000 bad, long headers", array([b"{}"] * EVENTS), EVENTS, **agent)
    controls = {"user_agent": '\x7f\xff"' * 300, "referer": '"' * 4096}
    yield posted("a batch of 1,000, headers to be escaped", array([b"{%b}" % SIX] * EVENTS), EVENTS, **controls)


def _batches() -> Iterator[Body]:
    """5 MiB of 1,000 events."""
    room = BODY_BYTES // EVENTS - 150
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
        for target in (TARGET, PRIVATE):
            private = ", private" if target == PRIVATE else ""
            good, bad = (b'{%b,"context":{"v":%b}}' % (six, value) for six in (SIX, BAD_SIX))
            yield posted(f"1,000 events, {name}{private}", array([good] * EVENTS), EVENTS, target=target)
            yield posted(f"1,000 bad events, {name}{private}", array([bad] * EVENTS), EVENTS, target=target)
    mixed = [encoded(event) for event in others(EVENTS - 1)]
    yield posted("1,000 events, the last one bad", array([*mixed, b"[]"]), EVENTS)
    yield posted("1,000 events, the last one cut", array([*mixed, b'{"a":'])[:-1], 0)
    different = [b'{%b,"%d":1}' % (BAD_SIX.replace(b"6320", b'"x%d"' % n), n) for n in range(EVENTS)]
    yield posted("1,000 bad events, each its own way", array(different), EVENTS)
    wrong = b'{"ea":1,"ec":1,"sid":"x","aid":[],"uid":{},"context":1,"extra":1,"dims":1,"items":1}'
    yield posted("1,000 events, all fields wrong", array([wrong] * EVENTS), EVENTS)
    yield posted("80 events of 64 KiB, all bad", array([_large(BAD_SIX)] * 80), 80)
    yield posted("80 events of 64 KiB, all bad, private", array([_large(BAD_SIX)] * 80), 80, target=PRIVATE)


def _large(six: bytes) -> bytes:
    return b'{%b,"v":%b}' % (six, cart(EVENT_BYTES - 200))


def _lines() -> Iterator[Body]:
    one = b"{%b}" % SIX
    for name, body, events in (
        ("5 million blank lines", b"\n" * BODY_BYTES, 0),
        ("2.6 million lines of a space", b" \n" * (BODY_BYTES // 2), 0),
        ("2.6 million CRLF", b"\r\n" * (BODY_BYTES // 2), 0),
        ("an event after 5 million blank lines", b"\n" * (BODY_BYTES - 200) + one, 0),
        ("2.6 million lines of 1", b"1\n" * (BODY_BYTES // 2), 0),
        ("1,000 lines of 5 KiB of spaces", (b" " * 5000 + b"\n") * 999 + one, 1),
        ("1,000 events with blank lines between", (one + b"\n\n") * EVENTS, EVENTS),
        ("1,000 events that are not UTF-8", (b'{%b,"v":"\xff%b"}\n' % (SIX, b"a" * 5000)) * EVENTS, EVENTS),
        ("1,000 lines cut in the middle", (b'{%b,"v":[%b\n' % (SIX, b"1," * 2500)) * EVENTS, EVENTS),
        ("1,000 lines of [[[[", (b"[" * 5200 + b"\n") * EVENTS, EVENTS),
        ("one line of 5 MiB", b"a" * BODY_BYTES, 1),
    ):
        yield posted(f"NDJSON: {name}", body, events, NDJSON)


def _framing() -> Iterator[Body]:
    one = b'{%b,"v":"%b"}'
    for size, name in ((1, "a byte"), (16, "16 bytes")):
        body = one % (SIX, b"a" * (60_000 if size == 1 else EVENT_BYTES - 200))
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
        "[],[]": repeated(b"[", b",", b"[]", b"]", EVENT_BYTES - 200),
        "brackets 60 deep": repeated(b"[", b",", b"[" * 60 + b"]" * 60, b"]", EVENT_BYTES - 200),
        "numbers of 4,000 digits": repeated(b"[", b",", b"9" * 4000, b"]", EVENT_BYTES - 200),
        "a number of 64,000 digits": b"9" * 64_000,
        "a fraction of 64,000 digits": b"0." + b"3" * 64_000,
        "an exponent of 64,000 digits": b"1e" + b"9" * 64_000,
    }.items():
        yield posted(f"an event of {name}", b'{%b,"v":%b}' % (SIX, value))
    yield posted("an aid of 64,000 digits", b'{"ea":"a","ec":"b","sid":1,"uid":"u","aid":%b}' % (b"9" * 64_000))
    yield posted("a sid of 64,000 digits", b'{"ea":"a","ec":"b","aid":"a","uid":"u","sid":"%b"}' % (b"9" * 64_000))
    yield posted("50,000 [ in an event", b'{%b,"v":%b}' % (SIX, b"[" * 50_000))
    yield posted("30,000 levels in an event", b'{%b,"v":%b}' % (SIX, b"[" * 30_000 + b"]" * 30_000))
