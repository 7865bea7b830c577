"""Requests that may cost a server more than they cost their sender, in every shape, drawn at random.

All of them are within the default limits.
"""

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

from bench.load.event import TARGET
from bench.load.texts import Text, texts
from bench.load.traffic import post

PRIVATE_PROP_ID: Final = 2
"""A property that stores no addresses and no user agents: its events are searched for them."""
PRIVATE: Final = TARGET.replace("prop_id=564990801", f"prop_id={PRIVATE_PROP_ID}")
EVENTS: Final = 1000
EVENT_BYTES: Final = 64 << 10
BODY_BYTES: Final = 5 << 20
JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
SIX: Final = b'"ea":"view","ec":"product","sid":6320,"aid":"3840","uid":"u-8812"'
BAD_SIX: Final = b'"ea":1,"ec":"product","sid":6320,"aid":"3840","uid":"u-8812"'
SEED: Final = 14
_SIZES: Final = (64 << 10, 1 << 20, BODY_BYTES)


class Body(NamedTuple):
    """A request; the bytes that it brings, without its content encoding, and the events among them."""

    name: str
    request: bytes
    length: int
    events: int = 1


def found(number: int) -> Iterator[Body]:
    """So many shapes of texts in events, batches and junk of all sizes, drawn without a repetition."""
    every = [
        (text, way, size, target)
        for text in texts()
        for way in _WAYS
        for size in (_SIZES[:1] if way == "an event" else _SIZES)
        for target in (TARGET, PRIVATE)
    ]
    for text, way, size, target in random.Random(SEED).sample(every, min(number, len(every))):
        body = _WAYS[way](text, size, target)
        private = ", private" if target == PRIVATE else ""
        yield body._replace(name=f"{way}, {body.length >> 10:,} KiB{private}: {text.name}")


def posted(name: str, body: bytes, events: int = 1, kind: str = JSON, target: str = TARGET, **headers: str) -> Body:
    """A POST. `content_encoding` is one of the headers; `length` is that of what is inside."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Body(name, post(body, kind, target, named), len(body), events)


def array(events: list[bytes]) -> bytes:
    """A batch."""
    return b"[%b]" % b",".join(events)


def _one(text: Text, size: int, target: str) -> Body:
    value = text.make(min(size, EVENT_BYTES) - 200)
    return posted("", b'{%b,"context":{"v":%b}}' % (SIX, value), target=target)


def _batch(text: Text, size: int, target: str, six: bytes = SIX) -> Body:
    value = text.make(size // EVENTS - 150 if size == BODY_BYTES else 800)
    event = b'{%b,"context":{"v":%b}}' % (six, value)
    events = min(EVENTS, max(1, (size - 2) // (len(event) + 1)))
    return posted("", array([event] * events), events, target=target)


def _large_batch(text: Text, size: int, target: str) -> Body:
    event = b'{%b,"context":{"v":%b}}' % (SIX, text.make(EVENT_BYTES - 200))
    events = min(EVENTS, max(1, (size - 2) // (len(event) + 1)))
    return posted("", array([event] * events), events, target=target)


def _junk_array(text: Text, size: int, target: str) -> Body:
    return posted("", text.make(size), 0, target=target)


def _line_batch(text: Text, size: int, target: str) -> Body:
    value = text.make(min(size // EVENTS, 5000)).replace(b"\n", b" ").replace(b"\r", b" ")
    line = b'{%b,"v":%b}\n' % (SIX, value)
    events = min(EVENTS, max(1, size // len(line)))
    return posted("", line * events, events, NDJSON, target)


_WAYS: Final[dict[str, Callable[[Text, int, str], Body]]] = {
    "an event": _one,
    "a batch": _batch,
    "a batch of bad events": partial(_batch, six=BAD_SIX),
    "events of 64 KiB": _large_batch,
    "no events": _junk_array,
    "NDJSON": _line_batch,
}
