"""A request on a connection and its response, from the head on."""

from functools import partial
from typing import Any, Final

from msgspec import Struct

from collector.errors import Overloaded, TooLarge
from collector.http.documents import RefusesAll
from collector.http.endpoint import AnyEndpoint
from collector.http.in_flight import InFlight
from collector.http.request import RequestHead
from collector.http.response import CONTINUE, Pending, Response
from collector.http.status import UNAVAILABLE

_COUNTED_BYTES: Final = 4096
"""Shorter bodies are not counted as in flight: the limit of connections bounds them."""
SHORT_BYTES: Final = 512
"""Shorter parts are joined: chunks of 2 bytes would take 22 times the memory that is counted."""
_AWAITED_BYTES: Final = 64 << 10
"""A refusal waits for the rest of a body of up to this length, so that the connection can stay open."""
_NO_HEAD: Final = RequestHead("", b"", b"", [], {}, None, "http", keep_alive=False)
_NOBODY: Final = RefusesAll(UNAVAILABLE)


class Exchange(Struct):  # created in 0.2 us, an object with slots in 0.5
    """A request and its response, which may be known before the request is whole: the rest of the body is dropped then.

    Call `admit` or `respond_with` once, first.
    """

    in_flight: InFlight
    head: RequestHead = _NO_HEAD
    is_whole: bool = False
    whole_at: float = 0.0
    """When its last byte came, as `Meter.now` has it; 0 before."""
    is_early: bool = False
    """Whether the response does not wait for the rest of the request."""
    is_invited: bool = False
    """Whether a client that waits for a 100 has got it."""
    response: Response | None = None
    length: int = 0
    """Bytes of the body that have arrived."""
    held_bytes: int = 0
    """The bytes of `length` that count as in flight."""
    parts: list[bytes] = []
    endpoint: AnyEndpoint = _NOBODY
    request: Any = None
    """The `Request`, if the endpoint has admitted it."""

    def admit(self, endpoint: AnyEndpoint) -> None:
        """Decide by the head whether to receive the body."""
        admitted = endpoint.admit(self.head)
        if isinstance(admitted, Response):
            self.response = admitted
        else:
            self.endpoint, self.request = endpoint, admitted

    def await_body(self) -> None:
        """Refuse at once, if the body is not whole and the response does not need the rest of it. Idempotent."""
        length = self.head.content_length
        if self.response is not None:
            self.is_early = self.is_early or length is None or length > _AWAITED_BYTES or self.head.expects_continue
        elif (length or 0) > self.request.body_limit:
            self._refuse_length()

    def respond_with(self, response: Response) -> None:
        """Respond to bytes that are not a request."""
        self.response, self.is_early = response, True

    def invite(self) -> bytes:
        """The 100 Continue that the client waits for before it sends the body, once; else b""."""
        if self.is_invited or self.length or self.response is not None or not self.head.expects_continue:
            return b""
        self.is_invited = True
        return CONTINUE

    def receive(self, part: bytes) -> None:
        """Add a part of the body."""
        self.length += len(part)
        if self.response is not None:
            return
        if self.parts and len(self.parts[-1]) < SHORT_BYTES:
            self.parts[-1] += part
        else:
            self.parts.append(part)
        if self.length > self.request.body_limit:
            self._refuse_length()
        elif self.length > _COUNTED_BYTES:
            if self.in_flight.reserve(self.length - self.held_bytes):
                self.held_bytes = self.length
            else:
                self.refuse(Overloaded("too many bodies are arriving at once"))

    def take(self) -> Response | Pending:
        """Serve the request. Call it when `is_whole` or `is_early`."""
        if self.response is not None:
            return self.response
        parts = self.parts
        self.request.body = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        taken = self.endpoint.take(self.request)
        if self.held_bytes and isinstance(taken, Pending) and taken.response is None:
            # the task holds the body until it ends, even when the client has left
            taken.until.add_done_callback(partial(_give_back, self.in_flight, self.held_bytes))
            self.held_bytes = 0
        return taken

    def refuse(self, error: BaseException) -> Response:
        """The response to a request that can't be taken any more."""
        self.response = self.endpoint.refuse(self.request, error)
        self.is_early = True
        self.release()
        return self.response

    def give_up(self, error: Exception) -> None:
        """Respond without waiting for the rest of the request."""
        if self.response is None:
            self.refuse(error)
        self.is_early = True

    def release(self) -> None:
        """Hold nothing of the body any more."""
        if self.held_bytes:
            self.in_flight.release(self.held_bytes)
            self.held_bytes = 0
        self.parts.clear()

    def leave(self) -> None:
        """The client has disconnected: drop the request."""
        self.release()
        if self.response is None:
            self.request.is_gone = True

    def _refuse_length(self) -> None:
        self.refuse(TooLarge(f"the body is over the limit of {self.request.body_limit} bytes"))


def _give_back(in_flight: InFlight, length: int, _: object) -> None:
    in_flight.release(length)
