"""What the load sends: whole requests as bytes, always the same ones in the same order."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from bench.load.event import TARGET, encoded, others

EVENTS_A_BATCH: Final = 100
EVENTS_A_FILE: Final = 1_000
_DIFFERENT: Final = 2_000
"""Single events before they come again."""
_EVENTS_OF_A_SHOP: Final = 5
"""In a batch."""
_PORTAL: Final = "portal_id=33167&prop_id=564990801"
COUNTED: Final = b"u-0000000"
_NONE: Final[Mapping[str, str]] = {}
Events = Iterator[dict[str, object]]


class Traffic(NamedTuple):
    """Requests that are sent in turn, and how many events each carries on average.

    Where `visitors` is not 0, the user id in the one request there is counts from 0 up to it.
    """

    name: str
    requests: tuple[bytes, ...]
    events: float = 1
    visitors: int = 0
    has_refusals: bool = False
    """Whether some of them are to be refused, with 400."""

    @property
    def halves(self) -> tuple[bytes, bytes]:
        """What is before and behind the digits that count."""
        head, _, tail = self.requests[0].partition(COUNTED)
        return head + COUNTED[:2], tail


def post(
    body: bytes, kind: str = "application/json", target: str = TARGET, headers: Mapping[str, str] = _NONE
) -> bytes:
    """A POST of this body. It has a length, unless `headers` frame it another way; they may name another host, too."""
    framing = {} if "transfer-encoding" in headers else {"content-length": str(len(body))}
    return _head("POST", target, {"content-type": kind, **headers, **framing}) + body


def get(target: str, headers: Mapping[str, str] = _NONE) -> bytes:
    """A GET."""
    return _head("GET", target, headers)


def _head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in ({"host": "localhost"} | dict(headers)).items())
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


def posts(bodies: list[bytes], name: str, events: float = 1, kind: str = "application/json") -> Traffic:
    """POSTs of these bodies."""
    return Traffic(name, tuple(post(body, kind) for body in bodies), events)


def singles() -> Traffic:
    """One event of about 0.5 KB a request."""
    return posts([encoded(event) for event in others(_DIFFERENT)], "single POST, 0.5 KB")


def large_singles() -> Traffic:
    """One event of about 2 KB a request: a cart of many products."""
    events = others(_DIFFERENT)
    carts = [event | {"items": _items(number, 14)} for number, event in enumerate(events)]
    return posts([encoded(event) for event in carts], "single POST, 2 KB")


def pixels() -> Traffic:
    """One event in the query of a GET, answered by a GIF."""
    return Traffic("pixel GET", tuple(map(_pixel, others(_DIFFERENT))))


def batches() -> Traffic:
    """JSON arrays of 100 events."""
    events = others(20 * EVENTS_A_BATCH)
    bodies = [encoded(events[first : first + EVENTS_A_BATCH]) for first in range(0, len(events), EVENTS_A_BATCH)]
    return posts(bodies, f"batch of {EVENTS_A_BATCH}", EVENTS_A_BATCH)


def files() -> Traffic:
    """NDJSON of 1,000 events."""
    lines = [encoded(event) for event in others(4 * EVENTS_A_FILE)]
    bodies = [b"\n".join(lines[first : first + EVENTS_A_FILE]) for first in range(0, len(lines), EVENTS_A_FILE)]
    return posts(bodies, f"NDJSON of {EVENTS_A_FILE:,}", EVENTS_A_FILE, "application/x-ndjson")


def mixed() -> Traffic:
    """Of 100 requests 75 are singles, 15 pixels, 5 clicks and 5 batches of 20."""
    draw = random.Random(2)
    kinds = draw.choices(("single", "pixel", "click", "batch"), (75, 15, 5, 5), k=_DIFFERENT)
    events = iter(others(_DIFFERENT * 20))
    requests = []
    for kind in kinds:
        if kind == "single":
            requests.append(post(encoded(next(events))))
        elif kind == "pixel":
            requests.append(_pixel(next(events)))
        elif kind == "click":
            where = quote("https://shop.example.com/p/1", safe="")
            target = f"/event?{_PORTAL}&resp_type=redirect&redirect_url={where}"
            requests.append(post(encoded(next(events) | {"ea": "click"}), target=target))
        else:
            requests.append(post(encoded([next(events) for _ in range(20)])))
    return Traffic("mixed", tuple(requests), sum(20 if kind == "batch" else 1 for kind in kinds) / len(kinds))


def preflights() -> Traffic:
    """Requests that need neither the log nor work: how long they take tells how long the event loop was held."""
    return Traffic("OPTIONS", (_head("OPTIONS", TARGET, {}),))


def shop() -> Traffic:
    """Single events, of 100 of which 5 are bad; among them 5 batches with a bad event, and 1 redirect to a host that
    is not listed."""
    draw = random.Random(4)
    kinds = draw.choices(("single", "bad", "batch", "redirect"), (89, 5, 5, 1), k=_DIFFERENT)
    events = iter(others(_DIFFERENT * _EVENTS_OF_A_SHOP))
    requests = [_OF_A_SHOP[kind](events) for kind in kinds]
    return Traffic("shop", tuple(requests), has_refusals=True)


def of_visitors(visitors: int) -> Traffic:
    """Single events, of so many different users."""
    event = others(1)[0] | {"uid": COUNTED.decode()}
    return Traffic(f"{visitors:,} visitors", (post(encoded(event)),), 1, visitors)


def of_properties(count: int) -> Traffic:
    """Single events to properties 1 to `count`, in no order."""
    body, draw = encoded(others(1)[0]), random.Random(3)
    chosen = range(1, count + 1) if count <= _DIFFERENT else draw.sample(range(1, count + 1), min(count, 20_000))
    targets = [f"/event?portal_id=33167&prop_id={prop_id}&resp_type=json" for prop_id in chosen]
    return Traffic(f"{count:,} properties", tuple(post(body, target=target) for target in targets))


def _pixel(event: dict[str, object]) -> bytes:
    named = {name: event[name] for name in ("ea", "ec", "sid", "aid", "uid")}
    extra = {"extra": json.dumps(event["extra"], separators=(",", ":"))}
    return get(f"/event?{_PORTAL}&resp_type=pixel&{urlencode(named | extra)}")


def _bad(event: dict[str, object]) -> dict[str, object]:
    return event | {"sid": "none"}


def _unlisted(event: dict[str, object]) -> bytes:
    where = quote("https://elsewhere.example.com/p/1", safe="")
    target = f"/event?{_PORTAL}&resp_type=redirect&redirect_url={where}"
    return post(encoded(event | {"ea": "click"}), target=target)


def _with_a_bad_one(events: Events) -> bytes:
    *good, last = (next(events) for _ in range(_EVENTS_OF_A_SHOP))
    return post(encoded([*good, _bad(last)]))


_OF_A_SHOP: Final[dict[str, Callable[[Events], bytes]]] = {
    "single": lambda events: post(encoded(next(events))),
    "bad": lambda events: post(encoded(_bad(next(events)))),
    "batch": _with_a_bad_one,
    "redirect": lambda events: _unlisted(next(events)),
}


def _items(seed: int, count: int) -> list[dict[str, object]]:
    draw = random.Random(seed)
    return [
        {
            "type": "product",
            "id": str(product),
            "name": f"Tivi Samsung {product} inch",
            "price": 1_000 * product,
            "quantity": 1,
        }
        for product in (draw.randrange(100_000, 1_000_000) for _ in range(count))
    ]
