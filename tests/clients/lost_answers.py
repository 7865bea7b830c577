"""A proxy that loses answers: it drops the connection when the collector has stored events and says so."""

import re
import threading
from collections.abc import Callable
from typing import Any

from bench.processes import is_connectable
from tests.destinations.unreliable import Passes, Proxy
from tests.running import eventually

_HEAD = re.compile(rb"(GET|HEAD|POST|OPTIONS) (\S+) HTTP/1\.1\r\n")
_DOCUMENTS = re.compile(rb"/v1/projects/|/sourceConfig|/array/|/flags|/static/")
_STORED = re.compile(rb"HTTP/1\.1 20[04] ")


class LostAnswers(Proxy):
    """Loses so many answers to requests with events; `on_loss` is called before each drop. Close it at the end."""

    def __init__(self, behind: int, losses: int, on_loss: Callable[[], object] = lambda: None) -> None:
        self.left = losses
        """Answers that are still to be lost."""
        self._on_loss = on_loss
        self._lock = threading.Lock()
        super().__init__(behind)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Hold a connection back while the collector starts again: how often an SDK tries in that time is its own."""
        eventually(lambda: is_connectable(self._behind), "the collector is up")
        super().finish_request(request, client_address)

    def passes(self) -> tuple[Passes, Passes]:
        """One connection: an answer is lost if the request before it has events."""
        connection = _Connection(self)
        return connection.request, connection.answer

    def is_lost(self) -> bool:
        """Whether the next answer is lost."""
        with self._lock:
            if self.left == 0:
                return False
            self.left -= 1
        self._on_loss()
        return True


class _Connection:
    def __init__(self, proxy: LostAnswers) -> None:
        self._proxy = proxy
        self._has_events = False

    def request(self, piece: bytes) -> bytes:
        if head := _HEAD.match(piece):
            self._has_events = head[1] != b"OPTIONS" and _DOCUMENTS.match(head[2]) is None
        return piece

    def answer(self, piece: bytes) -> bytes | None:
        is_stored = self._has_events and _STORED.match(piece)
        return None if is_stored and self._proxy.is_lost() else piece
