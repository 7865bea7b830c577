"""What an event costs by its size and its shape: as a long string, as a cart, and in the worst shape of a search.

The search times the pure functions over all shapes, of events as JSON and of events as forms, of those that are
accepted and of those that are refused. The few worst are sent over HTTP, beside the echo of as many bytes.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from bench import servers
from bench.load.event import BODY
from bench.load.shapes import JSON, Shape, cart, shapes, string
from bench.load.traffic import post
from bench.measure import Options, Row, Sample, closed_load, compared, in_turn, progress, ratio
from bench.servers import Server
from collector.errors import BadEvent, TooLarge
from collector.ingest.event import decode_event
from collector.ingest.query import event_of, parse_pairs
from collector.settings import EVENT_FIELDS, Limits

SIZES: Final = (4 << 10, 16 << 10, 48 << 10)
_MOST_STRING: Final = 2.0
_MOST_CART: Final = 3.0
_MOST_WORST: Final = 8.0
_TIMES: Final = 5
_WORST: Final = {"JSON, taken": 3, "JSON, refused": 2, "form, taken": 2, "form, refused": 1}
"""How many of each kind are sent over HTTP: the pure functions are not all that a request costs."""
_STATUSES: Final = frozenset((200, 400, 413))
_LIMITS: Final = Limits()


class Timed(NamedTuple):
    """A shape, the CPU microseconds of the pure functions, and whether the event is accepted."""

    shape: Shape
    micros: float
    is_taken: bool

    @property
    def kind(self) -> str:
        """One of those in `_WORST`."""
        return f"{'JSON' if self.shape.media == JSON else 'form'}, {'taken' if self.is_taken else 'refused'}"


def of_shapes(options: Options) -> Iterator[Row]:
    """An event of 4, 16 and 48 KiB as a string, as a cart and in the worst shape, against the bare echo"""
    with (
        servers.echo() as echo,
        servers.collector(of_property=servers.EVERY_REFUSAL, dead_letters=servers.EVERY_LETTER) as ours,
    ):
        for size in SIZES:
            yield from _of_size(size, options, echo, ours)


def _of_size(size: int, options: Options, echo: Server, ours: Server) -> Iterator[Row]:
    title = f"{size >> 10} KiB"
    progress(f"{title}: searching for the worst shape")
    timed = [each for each in map(_timed, islice(shapes(size), options.size(10_000, 20))) if each]
    worst = {each.shape.name: each for each in _worst(timed, options.size(3, 1))}
    sent = [string(size), cart(size), *(each.shape for each in worst.values())]
    runs = {"": _load(echo, Shape("", BODY.ljust(size)))} | {shape.name: _load(ours, shape) for shape in sent}
    samples = in_turn(runs, options._replace(seconds=min(options.seconds, 2)), title)

    def row(shape: str, name: str, most: float, beside: str = "") -> Row:
        reference = "bare uvicorn echo"
        return compared(
            f"{title}, {name}", samples[shape], samples[""], reference, most=most, beside=beside, bytes=size
        )

    yield row(sent[0].name, "one long string", _MOST_STRING)
    yield row(sent[1].name, "a cart of small objects", _MOST_CART)
    for kind in _WORST:
        if names := [name for name, each in worst.items() if each.kind == kind]:
            slowest = max(names, key=lambda name: ratio(samples[name], samples[""]))
            yield row(slowest, f"worst shape: {kind}", _MOST_WORST, f"of {len(timed)}: {slowest}")


def _load(server: Server, shape: Shape) -> Callable[[float], Sample]:
    return partial(closed_load, server, [post(shape.body, shape.media)], statuses=_STATUSES)


def _worst(timed: Sequence[Timed], most: int) -> Iterator[Timed]:
    for kind, number in _WORST.items():
        found = sorted((each for each in timed if each.kind == kind), key=lambda each: -each.micros)
        yield from found[: min(number, most)]


def _timed(shape: Shape) -> Timed | None:
    """None for a shape over a limit: it is refused before its content is looked at."""
    call = _as_json if shape.media == JSON else _as_form
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


def _as_json(body: bytes) -> None:
    decode_event(body, EVENT_FIELDS, _LIMITS)


def _as_form(body: bytes) -> None:
    decode_event(event_of(parse_pairs(body)), EVENT_FIELDS, _LIMITS)
