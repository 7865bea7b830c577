"""Traffic as shops make it: people who look at products, put them in carts and click, and tills that send batches.

Everything comes from one seeded catalogue, so that two runs send the same requests.
"""

import json
import random
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import urlencode

from bench.load.event import encoded
from bench.load.traffic import Traffic, get, post

_WEIGHTS: Final = {"view": 70, "add_to_cart": 8, "pixel": 15, "click": 4, "batch": 3}
_PRODUCTS: Final = 1_000
_VISITORS: Final = 100_000
_BATCH_EVENTS: Final = 20
_REQUESTS: Final = 2_000
_PAGE: Final = "https://shop.example.com/p/1"


class Request(NamedTuple):
    """A request: its kind, its method, the query parameters beside the property's, and the JSON of a POST."""

    kind: str
    method: str
    query: dict[str, str]
    content: object = None


class Visitor:
    """A person with an identity of their own, who sends requests of any kind."""

    def __init__(self, catalogue: "Catalogue") -> None:
        self._catalogue = catalogue
        self._sid = catalogue.random.randrange(2**31)
        self._uid = f"u-{catalogue.random.randrange(catalogue.visitors)}"

    def next_request(self) -> Request:
        """A request of a kind drawn by weight."""
        (kind,) = self._catalogue.random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        if kind == "pixel":
            event = self._event("view")
            fields = {name: str(event[name]) for name in ("ea", "ec", "sid", "aid", "uid")}
            return Request(kind, "GET", {"resp_type": "pixel", **fields, "items": json.dumps(event["items"])})
        if kind == "click":
            return Request(kind, "POST", {"resp_type": "redirect", "redirect_url": _PAGE}, self._event("click"))
        if kind == "batch":
            events = [self._event("view") for _ in range(self._catalogue.batch_events)]
            return Request(kind, "POST", {"resp_type": "json", "is_s2s": "true"}, events)
        return Request(kind, "POST", {"resp_type": "json"}, self._event(kind))

    def _event(self, action: str) -> dict[str, object]:
        return {
            "ea": action,
            "ec": "product",
            "sid": self._sid,
            "aid": f"aid-{self._uid}",
            "uid": self._uid,
            "extra": {"location_url": _PAGE, "utm_source": "google"},
            "items": [self._catalogue.random.choice(self._catalogue.products) | {"quantity": 1}],
        }


class Catalogue:
    """The products for sale, the number of people who visit, and the source of all choices."""

    def __init__(self, seed: int = 1, visitors: int = _VISITORS, batch_events: int = _BATCH_EVENTS) -> None:
        self.random = random.Random(seed)
        self.visitors = visitors
        self.batch_events = batch_events
        self.products: list[dict[str, object]] = [
            {"type": "product", "id": str(100_000 + number), "name": f"Product {number}", "price": 1_000 * number}
            for number in range(1, _PRODUCTS + 1)
        ]


def mix(host: str, target: str) -> Traffic:
    """The mix as requests to `target`, a path with the query that names the property, on `host`."""
    return Traffic("mix", tuple(_encoded(request, host, target) for request in _requests()))


def _requests() -> Iterator[Request]:
    catalogue = Catalogue()
    return (Visitor(catalogue).next_request() for _ in range(_REQUESTS))


def _encoded(request: Request, host: str, target: str) -> bytes:
    whole = f"{target}&{urlencode(request.query)}"
    if request.method == "GET":
        return get(whole, {"host": host})
    return post(encoded(request.content), target=whole, headers={"host": host})
