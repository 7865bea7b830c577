"""The deadline of a connection: how long it waits for its client."""

import asyncio
import math
from typing import Final

from collector.http.parser import FAILED, HEAD, IDLE
from collector.settings import Limits

KEEP_ALIVE_SECONDS: Final = 75
"""Longer than load balancers keep idle connections, so that the balancer closes first."""


class Deadline:
    """The time `at` which the connection is ended, in seconds of the event loop's clock.

    A phase's time starts once: a client that sends byte by byte gains none. Create it when the connection is made.
    """

    __slots__ = ("_body_seconds", "_header_seconds", "_loop", "at", "idle_since", "is_write_paused", "phase")

    def __init__(self, limits: Limits) -> None:
        self._loop = asyncio.get_running_loop()
        self._header_seconds = limits.header_seconds
        self._body_seconds = limits.body_seconds
        self.idle_since = self._loop.time()
        self.at = self.idle_since + self._header_seconds
        self.phase = HEAD
        """The phase that is timed. A new connection must send its first head within `header_seconds`."""
        self.is_write_paused = False

    def time(self, phase: int, *, has_responded: bool) -> None:
        """Start the time of the parser's phase, unless it runs already. A complete request has no deadline."""
        if self.is_write_paused:
            return  # the client has to read first
        if phase is IDLE or phase is FAILED:
            self.phase = IDLE
            self.at = math.inf
            if has_responded:
                self.await_request()
        elif phase is not self.phase:
            self.phase = phase
            self.at = self._loop.time() + (self._header_seconds if phase is HEAD else self._body_seconds)

    def await_request(self) -> None:
        """Wait for the next request for KEEP_ALIVE_SECONDS."""
        self.idle_since = self._loop.time()
        if not self.is_write_paused:
            self.at = self.idle_since + KEEP_ALIVE_SECONDS

    def pause_writing(self) -> None:
        """Wait `body_seconds` at most for the client to read."""
        self.is_write_paused = True
        self.at = min(self.at, self._loop.time() + self._body_seconds)

    def resume_writing(self, phase: int, *, has_responded: bool) -> None:
        """Start the time of the phase from before the pause again."""
        self.is_write_paused = False
        self.phase = IDLE
        self.time(phase, has_responded=has_responded)

    def extend(self) -> None:
        """Wait another `body_seconds`: for bytes to be parsed, or for the client to read the last response."""
        self.at = self._loop.time() + self._body_seconds
