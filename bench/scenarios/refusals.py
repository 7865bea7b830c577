"""A request that is refused, against one whose event is stored: it must not be the cheaper way to load a server."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Final, NamedTuple

from bench import servers
from bench.load.event import TARGET, encoded, others
from bench.load.traffic import post
from bench.measure import Options, Row, Sample, closed_load, compared, in_turn
from bench.servers import PROP_ID, Server

_EVENTS: Final = 2_000
_KEYED_PROP_ID: Final = 2
_KEY: Final = "TRACKLOG_BENCH_KEY"
_ORIGIN: Final = "https://shop.example.com"
_SECTIONS: Final = f"""
[[property]]
portal_id = 33167
prop_id = {_KEYED_PROP_ID}
write_keys = ["env:{_KEY}"]
"""
_OF_PROPERTY: Final = f'origins = ["{_ORIGIN}"]\n{servers.EVERY_REFUSAL}'
_MOST_REFUSED: Final = 1.0
_MOST_DEAD: Final = 1.3
_NONE: Final[Mapping[str, str]] = {}


class Refusal(NamedTuple):
    """A kind of refused request: its status, its property, its headers, whether its events are bad, and its bound."""

    status: int
    prop_id: int = PROP_ID
    headers: Mapping[str, str] = _NONE
    is_bad: bool = False
    most: float = _MOST_REFUSED


REFUSALS: Final = {
    "unknown property": Refusal(404, prop_id=999_999),
    "foreign origin": Refusal(403, headers={"origin": "https://elsewhere.example.com"}),
    "wrong write key": Refusal(403, prop_id=_KEYED_PROP_ID, headers={"x-write-key": "wrong"}),
    "bad event, in the dead letters": Refusal(400, is_bad=True, most=_MOST_DEAD),
}
STORED: Final = Refusal(200, headers={"origin": _ORIGIN})


def of_refusals(options: Options) -> Iterator[Row]:
    """A request that is refused, against one whose event is stored and against the bare echo"""
    with ExitStack() as stack:
        echo = stack.enter_context(servers.echo())
        ours = stack.enter_context(collector())
        runs = {name: _load(ours, kind) for name, kind in ({"stored": STORED} | REFUSALS).items()}
        runs["echo"] = _load(echo, STORED)
        samples = in_turn(runs, options, "refusals")
    yield compared("stored event", samples["stored"], samples["echo"], "bare uvicorn echo")
    for name, refusal in REFUSALS.items():
        yield compared(name, samples[name], samples["stored"], "stored event", most=refusal.most)


def collector() -> AbstractContextManager[Server]:
    """A collector with a property that has write keys, on which nothing that is refused is passed over."""
    return servers.collector(
        of_property=_OF_PROPERTY,
        dead_letters=servers.EVERY_LETTER,
        sections=_SECTIONS,
        environment={_KEY: "key-0123456789abcdef"},
    )


def requests_of(kind: Refusal) -> list[bytes]:
    """POSTs of this kind, with different events."""
    target = TARGET.replace(f"prop_id={PROP_ID}", f"prop_id={kind.prop_id}")
    bad = {"sid": "none"} if kind.is_bad else {}
    return [post(encoded(event | bad), target=target, headers=kind.headers) for event in others(_EVENTS)]


def _load(server: Server, kind: Refusal) -> Callable[[float], Sample]:
    return partial(closed_load, server, requests_of(kind), statuses={kind.status})
