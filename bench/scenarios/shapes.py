"""What an event costs by its size and its shape: as a long string, as a cart, and in the worst shape of a search.

The search times the pure functions over all shapes, of events as JSON and of events as forms, of those that are taken
and of those that are refused. The few worst are sent over HTTP, beside the echo of as many bytes.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from bench import servers
from bench.load import closed_loop
from bench.load.event import BODY
from bench.load.texts import Text, cart, repeated, texts
from bench.load.traffic import post
from bench.measure import Options, Row, Sample, in_turn, median, progress, ratio
from bench.scenarios.requests import fresh
from bench.servers import Server
from collector.config import EVENT_FIELDS, Limits
from collector.errors import BadEvent, TooLarge
from collector.ingest.decode import decode_event
from collector.ingest.query import event_of, parse_pairs

SIZES: Final = (4 << 10, 16 << 10, 48 << 10)
_CONNECTIONS: Final = 64
_MOST_STRING: Final = 2.5
_MOST_CART: Final = 3.5
_MOST_WORST: Final = 8.0
_TIMES: Final = 5
_WORST: Final = {"JSON, taken": 3, "JSON, refused": 2, "form, taken": 2, "form, refused": 1}
"""How many of each kind are sent over HTTP: the pure functions are not all that a request costs."""
_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_SIX: Final = b'"ea":"view","ec":"product","sid":6320,"aid":"3840","uid":"u-8812"'
_FORM_SIX: Final = b"ea=view&ec=product&sid=6320&aid=3840&uid=u-8812"
_PLACES: Final = {
    "context": (b'"context":{"v":', b"}"),
    "extra": (b'"extra":{"v":', b"}"),
    "items": (b'"items":[{"v":', b"}]"),
    "an unknown member": (b'"v":', b""),
}
_WRONG: Final = {
    "ea is a number": b'"ea":1',
    "sid is no number": b'"sid":"x"',
    "items are numbers": b'"items":[1]',
}
_MEMBERS: Final = (
    b'"ea":"view"',
    b'"sid":"1"',
    b'"aid":' + b"9" * 254,
    b'"uid":' + b"9" * 250,
    b'"aid":1',
    b'"items":[]',
    b'"items":[{},{},{}]',
    b'"context":{}',
    b'"context":{"a":1}',
    b'"dims":{"":0}',
    b'"en":"a"',
    b'"":0',
    b'"\\u0065a":"view"',
    b'"e\\u0061":"view"',
)
_PAIRS: Final = (
    b"a",
    b"a=1",
    b"=",
    b"&",
    b"a=%41",
    b"%61=1",
    b"a=+",
    b"a=%",
    b"a=%zz",
    b"a=%ff",
    b"a=\xff",
    b"context={}",
)
_VALUES: Final = {
    "letters": b"a",
    "%41": b"%41",
    "%C3%A9": b"%C3%A9",
    "%F0%9F%98%80": b"%F0%9F%98%80",
    "%FF": b"%FF",
    "0xff": b"\xff",
    "0xff and letters": b"\xffa",
    "%FF and letters": b"%FFa",
    "é in Latin-1 and %41": b"\xe9%41",
    "%": b"%",
    "%4": b"%4",
    "%zz": b"%zz",
    "%41%": b"%41%",
    "+": b"+",
    "+%20": b"+%20",
    "=": b"=",
    "=41": b"=41",
    "%3D": b"%3D",
    "%0A": b"%0A",
    "line breaks and %41": b"\n%41",
    "line breaks": b"\n",
    "%00": b"%00",
    "%22": b"%22",
    "%5C": b"%5C",
    "quotes": b'"',
    "backslashes": b"\\",
    "control characters": b"\x01",
    "é": "é".encode(),
    "漢": "漢".encode(),
    "😀": "😀".encode(),
    "half of é": b"\xc3",
}


class Shape(NamedTuple):
    """A body in some shape, and the content type that it is sent with."""

    name: str
    body: bytes
    media: str = _JSON


class Timed(NamedTuple):
    """A shape, the CPU microseconds of the pure functions, and whether it is an event that is taken."""

    shape: Shape
    micros: float
    is_taken: bool

    @property
    def kind(self) -> str:
        """One of those in `_WORST`."""
        return f"{'JSON' if self.shape.media == _JSON else 'form'}, {'taken' if self.is_taken else 'refused'}"


def of_an_event(options: Options) -> Iterator[Row]:
    """For each size three rows: a string, a cart, and the worst of all."""
    with (
        servers.echo() as echo,
        fresh(of_property="rejects_per_second = 1e9", dead_letters="bytes_per_hour = 1_000_000_000_000") as ours,
    ):
        for size in SIZES:
            yield from _of_size(size, options, echo, ours)


def _of_size(size: int, options: Options, echo: Server, ours: Server) -> Iterator[Row]:
    progress(f"{size >> 10} KiB: searching {options.shapes} shapes")
    timed = [each for each in map(_timed, islice(shapes(size), options.shapes)) if each]
    string, cart_ = _string(size), _cart(size)
    worst = {each.shape.name: each for each in _worst(timed, options.worst)}
    sent = {string.name: string, cart_.name: cart_} | {name: each.shape for name, each in worst.items()}
    runs: dict[str, Callable[[int], Sample]] = {"": partial(_load, echo, Shape("", BODY.ljust(size)))}
    runs |= {name: partial(_load, ours, shape) for name, shape in sent.items()}
    samples = in_turn(runs, options._replace(seconds=min(options.seconds, 2)), f"{size >> 10} KiB")
    row = partial(_row, size, samples)
    yield row(string.name, f"{size >> 10} KiB, one long string", _MOST_STRING, "")
    yield row(cart_.name, f"{size >> 10} KiB, a cart of small objects", _MOST_CART, "")
    for kind in _WORST:
        if names := [name for name, each in worst.items() if each.kind == kind]:
            slowest = max(names, key=lambda name: ratio(samples[name], samples[""]))
            yield row(slowest, f"{size >> 10} KiB, worst shape: {kind}", _MOST_WORST, f"of {len(timed)}: {slowest}")


def _row(size: int, samples: dict[str, list[Sample]], name: str, scenario: str, most: float, beside: str) -> Row:
    ours, theirs = samples[name], samples[""]
    mine, other = median(ours), median(theirs)
    details: dict[str, object] = {
        "bytes": size,
        "ours": [each._asdict() for each in ours],
        "reference": [each._asdict() for each in theirs],
    }
    return Row(
        "shapes",
        scenario,
        mine.cpu_us,
        "us",
        f"bare uvicorn echo {other.cpu_us:.1f} us",
        ratio(ours, theirs),
        most,
        beside=beside or f"{mine.rate:,.0f} events/s",
        details=details,
    )


def _load(server: Server, shape: Shape, seconds: int) -> Sample:
    before = servers.cpu_seconds(*server.workers)
    tally = closed_loop.run(server.port, [post(shape.body, shape.media)], _CONNECTIONS, seconds)
    spent = servers.cpu_seconds(*server.workers) - before
    if len(tally.answers) > 1 or not tally.answers.keys() <= {200, 400, 413}:
        raise SystemExit(f"bench: {shape.name}: expected one status, found {dict(tally.answers)}")
    return Sample(spent / tally.requests * 1e6, tally.requests / tally.seconds, 0, 0)


def _worst(timed: Sequence[Timed], most: int) -> Iterator[Timed]:
    for kind, number in _WORST.items():
        found = sorted((each for each in timed if each.kind == kind), key=lambda each: -each.micros)
        yield from found[: min(number, most)]


def _timed(shape: Shape) -> Timed | None:
    """None where it is neither taken nor refused with 400, but over a limit, at which nobody looks into it."""
    call = _as_json if shape.media == _JSON else _as_form
    best = float("inf")
    for _ in range(_TIMES):
        begun = time.thread_time_ns()
        try:
            call(shape.body)
            is_taken = True
        except BadEvent:
            is_taken = False
        except TooLarge:
            return None
        best = min(best, time.thread_time_ns() - begun)
    return Timed(shape, best / 1000, is_taken)


_LIMITS: Final = Limits()


def _as_json(body: bytes) -> None:
    decode_event(body, EVENT_FIELDS, _LIMITS)


def _as_form(body: bytes) -> None:
    decode_event(event_of(parse_pairs(body)), EVENT_FIELDS, _LIMITS)


def shapes(size: int) -> Iterator[Shape]:
    """All shapes of about so many bytes. Of each kind there is one early, so that the first few are a sample."""
    kinds = [_plain(size), _with_line_breaks(size), _refused(size), _of_members(size), _forms(size)]
    while kinds:
        for kind in list(kinds):
            shape = next(kind, None)
            if shape is None:
                kinds.remove(kind)
            else:
                yield shape


def _string(size: int) -> Shape:
    return Shape("a string", _event(b'"extra":{"v":', repeated(b'"', b"", b"a", b'"', _room(size)), b"}"))


def _cart(size: int) -> Shape:
    return Shape("a cart", _event(b'"items":', cart(_room(size)), b""))


def _room(size: int) -> int:
    return size - len(_SIX) - 32


def _event(begin: bytes, value: bytes, end: bytes) -> bytes:
    return b"{%b,%b%b%b}" % (_SIX, begin, value, end)


def _plain(size: int) -> Iterator[Shape]:
    for text in texts():
        for place, (begin, end) in _PLACES.items():
            yield Shape(f"{text.name}, in {place}", _event(begin, text.make(_room(size)), end))


def _with_line_breaks(size: int) -> Iterator[Shape]:
    for text in texts():
        value = text.make(_room(size))
        yield Shape(f"{text.name}, and a line break", b'{%b,\n"v":%b}' % (_SIX, value))


def _refused(size: int) -> Iterator[Shape]:
    for text in texts():
        value = text.make(_room(size))
        for name, member in _WRONG.items():
            yield Shape(f"{text.name}, and {name}", b'{%b,"v":%b,%b}' % (_SIX, value, member))
        yield Shape(f"{text.name}, and its end is missing", b'{%b,"v":%b' % (_SIX, value))
        yield Shape(f"{text.name}, and it is not UTF-8", b'{%b,"v":%b,"w":"\xff"}' % (_SIX, value))
        deep = b"[" * 65 + b"]" * 65
        yield Shape(f"{text.name}, and too deep", b'{%b,"v":%b,"w":%b}' % (_SIX, value, deep))
        yield Shape(f"{text.name}, as items", b'{%b,"items":%b}' % (_SIX, value))


def _of_members(size: int) -> Iterator[Shape]:
    for member in _MEMBERS:
        for name, last in {"": b'"z":0', **{f", and {name}": wrong for name, wrong in _WRONG.items()}}.items():
            body = repeated(b"{%b," % _SIX, b",", member, b",%b}" % last, size)
            yield Shape(f"members {_cut(member)}{name}", body)


def _forms(size: int) -> Iterator[Shape]:
    for pair in _PAIRS:
        for name, head in (("", _FORM_SIX), (", without ec", _FORM_SIX.replace(b"ec=", b"x="))):
            yield Shape(f"pairs {_cut(pair)}{name}", repeated(head + b"&", b"&", pair, b"", size), _FORM)
    for name, unit in _VALUES.items():
        for place in ("v", "context", "sid"):
            head = b"%b&%b=" % (_FORM_SIX.replace(b"sid=6320&", b"") if place == "sid" else _FORM_SIX, place.encode())
            yield Shape(f"{place} of {name}", repeated(head, b"", unit, b"", size), _FORM)
        yield Shape(f"a name of {name}", repeated(_FORM_SIX + b"&", b"", unit, b"=1", size), _FORM)
    for text in texts():
        yield Shape(f"context of {text.name}", _form_with(text, size), _FORM)


def _form_with(text: Text, size: int) -> bytes:
    value = text.make(size - len(_FORM_SIX) - 64).replace(b"%", b"%25").replace(b"&", b"%26").replace(b"+", b"%2B")
    return b'%b&context={"v":%b}' % (_FORM_SIX, value)


def _cut(unit: bytes) -> str:
    text = repr(unit)[2:-1]
    return text if len(text) <= 24 else f"{text[:20]}…"
