"""Load as shops make it, for locust: `make bench-locust`, or `locust -f bench/locustfile.py` for its web page.

Users, sessions and products come from a seeded catalogue, so that two runs send the same events. The options below are
on the web page too. With `--rate`, requests go out when they are due, however slow answers are, and count from then.
"""

import itertools
import json
import random
import time
from argparse import ArgumentParser
from typing import Any, Final
from urllib.parse import urlencode

from locust import FastHttpUser, constant, events, task
from locust.env import Environment

_PRODUCTS: Final = 1_000
_OPTIONS: Final = (
    ("--portal-id", int, 33167, "account that events are sent to"),
    ("--prop-id", int, 564990801, "data source of that account"),
    (
        "--rate",
        float,
        0.0,
        "requests a second of all users together, as an open loop; 0: each when the last is answered",
    ),
    ("--batch-events", int, 20, "events of a batch"),
    ("--visitors", int, 100_000, "how many different people there are"),
    ("--seed", int, 1, "of the catalogue and of all choices"),
)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_options(parser: ArgumentParser) -> None:
    """Offer the options of this load, on the command line and on the web page."""
    for name, kind, default, text in _OPTIONS:
        parser.add_argument(name, type=kind, default=default, help=text)


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def begin(environment: Environment, **_: Any) -> None:
    """Begin the catalogue anew, so that each run of one process sends the same."""
    Visitor.catalogue = _Catalogue(environment.parsed_options)


class _Catalogue:
    """Who visits, what there is to buy, and when the next request is due."""

    def __init__(self, options: Any) -> None:
        self.random = random.Random(options.seed)
        self.visitors = options.visitors
        self.products = [
            {"type": "product", "id": str(100_000 + number), "name": f"Product {number}", "price": 1_000 * number}
            for number in range(1, _PRODUCTS + 1)
        ]
        self._rate = options.rate
        self._begun = time.monotonic()
        self._numbers = itertools.count()

    def next_due(self) -> float | None:
        """The time (monotonic seconds) of the next request of anybody; None where each waits for the last one."""
        return self._begun + next(self._numbers) / self._rate if self._rate else None


class Visitor(FastHttpUser):
    """A visitor who looks at products, now and then puts one in the cart, and clicks on what an e-mail shows."""

    wait_time = constant(0)
    catalogue: _Catalogue

    def on_start(self) -> None:
        """Come with an identity, and no session yet."""
        options: Any = self.environment.parsed_options
        draw = self.catalogue.random
        self._portal = f"portal_id={options.portal_id}&prop_id={options.prop_id}"
        self._batch_events = options.batch_events
        self._sid = draw.randrange(2**31)
        self._uid = f"u-{draw.randrange(self.catalogue.visitors)}"
        self._token = ""

    @task(70)
    def view(self) -> None:
        """Look at a product."""
        self._post("view")

    @task(8)
    def add_to_cart(self) -> None:
        """Put a product in the cart."""
        self._post("add_to_cart")

    @task(15)
    def pixel(self) -> None:
        """See a page without scripts."""
        event = self._event("view")
        fields = {name: event[name] for name in ("ea", "ec", "sid", "aid", "uid")}
        fields["items"] = json.dumps(event["items"])
        self._send("pixel", "GET", f"/event?{self._portal}&resp_type=pixel&{urlencode(fields)}", None)

    @task(4)
    def click(self) -> None:
        """Follow a link; the shop itself is not asked."""
        link = urlencode({"redirect_url": "https://shop.example.com/p/1"})
        self._send("click", "POST", f"/event?{self._portal}&resp_type=redirect&{link}", self._event("click"))

    @task(3)
    def batch(self) -> None:
        """Send what a till or an app has gathered."""
        batch = [self._event("view") for _ in range(self._batch_events)]
        self._send("batch", "POST", f"/event?{self._portal}&resp_type=json&is_s2s=true", batch)

    def _event(self, action: str) -> dict[str, Any]:
        return {
            "ea": action,
            "ec": "product",
            "sid": self._sid,
            "aid": f"aid-{self._uid}",
            "uid": self._uid,
            "extra": {"location_url": "https://shop.example.com/p/1", "utm_source": "google"},
            "items": [self.catalogue.random.choice(self.catalogue.products) | {"quantity": 1}],
        }

    def _post(self, action: str) -> None:
        target = f"/event?{self._portal}&resp_type=json&an_session={self._token}"
        answer = self._send(action, "POST", target, self._event(action))
        if answer:
            self._token = json.loads(answer)["an_session"]

    def _send(self, name: str, method: str, target: str, content: object) -> bytes | None:
        """The body of the answer, or None if the event is not in the log."""
        due = self.catalogue.next_due()
        if due is not None:
            time.sleep(max(0.0, due - time.monotonic()))
        options: dict[str, Any] = {} if content is None else {"json": content}
        request = self.client.request(method, target, name=name, catch_response=True, allow_redirects=False, **options)
        with request as response:
            if due is not None:  # what it waited for a free user counts too
                response.request_meta["response_time"] = (time.monotonic() - due) * 1000
            if response.status_code in (200, 302) and response.headers.get("x-event-ack") == "fsync":
                response.success()
                return bytes(response.content or b"")
            response.failure(f"{response.status_code}: {response.text}")
        return None
