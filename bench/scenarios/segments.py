"""A POST whose head and body are two TCP segments: many clients write them one by one, so the server reads twice.

Here the body follows `SECONDS_APART` after the head. The request in one segment waits as long, so that both loads are
alike.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from bench import servers
from bench.load import traffic
from bench.load.closed_loop import Segments
from bench.measure import Options, Row, Sample, closed_load, compared, in_turn
from bench.servers import Server

_MOST: Final = 1.1
_END_OF_HEAD: Final = b"\r\n\r\n"


def of_segments(options: Options) -> Iterator[Row]:
    """A POST whose head and body are two segments, against one segment and against the bare echo"""
    with servers.echo() as echo, servers.collector() as ours:
        runs = {
            "one": _load(ours, in_one),
            "two": _load(ours, in_two),
            "echo, one": _load(echo, in_one),
            "echo, two": _load(echo, in_two),
        }
        samples = in_turn(runs, options, "segments")
    one, two = "single POST, one segment", "single POST, head and body in two segments"
    yield compared(one, samples["one"], samples["echo, one"], "bare uvicorn echo")
    yield compared(two, samples["two"], samples["echo, two"], "bare uvicorn echo")
    yield compared(two, samples["two"], samples["one"], "one segment", most=_MOST)


def in_one(request: bytes) -> tuple[bytes, ...]:
    """All of it, when the body of the other would be sent."""
    return b"", request


def in_two(request: bytes) -> tuple[bytes, ...]:
    """Head and body."""
    head, end, body = request.partition(_END_OF_HEAD)
    return head + end, body


def _load(server: Server, segments: Segments) -> Callable[[float], Sample]:
    return partial(closed_load, server, traffic.singles().requests, statuses={200}, segments=segments)
