"""The faults that a proxy between browser and collector can inject into a request."""

from collections.abc import Callable
from typing import NamedTuple


class Fault(NamedTuple):
    """A fault of one request: it reaches the collector or not, and this answer reaches the browser."""

    name: str
    delay_seconds: float = 0.0
    """Before it is passed on."""
    is_passed: bool = False
    """The collector gets it."""
    status: int = 0
    """Of an answer in place of the collector's. 0: the collector's own, or the connection is cut if it has none."""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = '{"code": "injected", "message": "injected by the test"}'
    content_type: str = "application/json"
    is_lost: bool = False
    """The connection is cut in place of the answer."""
    is_hung: bool = False
    """Nothing is ever answered."""


Plan = Callable[[], Fault]
"""Gives the fault of the next request."""

PASS = Fault("pass", is_passed=True)
CUT = Fault("cut before storing", is_lost=True)
LOSE = Fault("answer lost", is_passed=True, is_lost=True)
HANG = Fault("hang", is_hung=True)
PORTAL = Fault("captive portal", status=200, body="<!doctype html><title>Log in</title>", content_type="text/html")
GARBAGE = Fault("garbage", status=200, body='{"type": "eve')
OTHER_JSON = Fault("JSON of somebody else", status=200, body='{"ok": true}')
STORED_503 = Fault("503 after storing", is_passed=True, status=503, headers=(("x-event-ack", "fsync"),))


def delay(seconds: float) -> Fault:
    """The collector gets it later."""
    return PASS._replace(name=f"delay of {seconds:g} s", delay_seconds=seconds)


def refuse(status: int, retry_after: int | None = None) -> Fault:
    """Answer this status in place of the collector."""
    headers = () if retry_after is None else (("retry-after", str(retry_after)),)
    return Fault(f"{status}" if retry_after is None else f"{status}, retry-after {retry_after}", status=status, headers=headers)


def redirect(location: str) -> Fault:
    """Answer 302."""
    return Fault("302", status=302, headers=(("location", location),))
