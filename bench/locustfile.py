"""Load as shops make it, for locust: `make bench-locust`, or `locust -f bench/locustfile.py` for its web page.

The mix is that of bench/load/mix.py, and two runs send the same events. The options below are on the web page too. With
`--rate`, requests are sent when they are due, however slow responses are, and latency counts from then.
"""

import itertools
import json
import time
from argparse import ArgumentParser
from typing import Any, Final
from urllib.parse import urlencode

from locust import FastHttpUser, constant, events, task
from locust.env import Environment

from bench.load import mix

_OPTIONS: Final = (
    ("--portal-id", int, 33167, "account that events are sent to"),
    ("--prop-id", int, 564990801, "data source of that account"),
    ("--rate", float, 0.0, "requests a second of all users together, as an open loop; 0: a closed loop"),
    ("--batch-events", int, 20, "events of a batch"),
    ("--visitors", int, 100_000, "number of different people"),
    ("--seed", int, 1, "of the catalogue and of all choices"),
)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_options(parser: ArgumentParser) -> None:
    """Offer the options of this load, on the command line and on the web page."""
    for name, kind, default, text in _OPTIONS:
        parser.add_argument(name, type=kind, default=default, help=text)


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def start(environment: Environment, **_: Any) -> None:
    """Start the catalogue and the schedule anew, so that each run of one process sends the same."""
    options: Any = environment.parsed_options
    User.catalogue = mix.Catalogue(options.seed, options.visitors, options.batch_events)
    User.schedule = _Schedule(options.rate)


class _Schedule:
    """The times at which requests of all users together are due."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._begun = time.monotonic()
        self._numbers = itertools.count()

    def next_due(self) -> float | None:
        """Monotonic seconds; None in a closed loop."""
        return self._begun + next(self._numbers) / self._rate if self._rate else None


class User(FastHttpUser):
    """A visitor, with a session once a response brought one."""

    wait_time = constant(0)
    catalogue: mix.Catalogue
    schedule: _Schedule

    def on_start(self) -> None:
        """Take an identity."""
        options: Any = self.environment.parsed_options
        self._property = {"portal_id": options.portal_id, "prop_id": options.prop_id}
        self._visitor = mix.Visitor(self.catalogue)
        self._token = ""

    @task
    def act(self) -> None:
        """Send a request of any kind."""
        request = self._visitor.next_request()
        query = self._property | request.query
        if request.kind in ("view", "add_to_cart"):
            query["an_session"] = self._token
        body = self._send(request, f"/event?{urlencode(query)}")
        if body and "an_session" in query:
            self._token = json.loads(body)["an_session"]

    def _send(self, request: mix.Request, target: str) -> bytes | None:
        """The body of the response, or None if the event is not in the log."""
        due = self.schedule.next_due()
        if due is not None:
            time.sleep(max(0.0, due - time.monotonic()))
        options: dict[str, Any] = {} if request.content is None else {"json": request.content}
        sent = self.client.request(
            request.method, target, name=request.kind, catch_response=True, allow_redirects=False, **options
        )
        with sent as response:
            if due is not None:  # the wait for a free user counts too
                response.request_meta["response_time"] = (time.monotonic() - due) * 1000
            if response.status_code in (200, 302) and response.headers.get("x-event-ack") == "fsync":
                response.success()
                return bytes(response.content or b"")
            response.failure(f"{response.status_code}: {response.text}")
        return None
