"""A request on a connection and its response, from the head on."""

from typing import Final

from collector.errors import Overloaded, TooLarge
from collector.http.endpoint import AnyEndpoint
from collector.http.in_flight import InFlight
from collector.http.request import Request, RequestHead
from collector.http.response import CONTINUE, Pending, Response

_COUNTED_BYTES: Final = 4096
"""Shorter bodies do not count as in flight: the limit of connections bounds them."""
_AWAITED_BYTES: Final = 64 << 10
"""A refusal waits for the rest of a body of up to this length, so that the connection can stay open."""
_NO_HEAD: Final = RequestHead("", b"", b"", [], {}, None, "http", keep_alive=False)


class Exchange:
    """A request and its response. If the response is known before the body is complete, the rest of that is dropped.

    Call `admit` or `answer_with` once, first.
    """

    __slots__ = (
        "_endpoint",
        "_held_bytes",
        "_in_flight",
        "_parts",
        "_request",
        "head",
        "is_early",
        "is_invited",
        "is_whole",
        "length",
        "response",
    )

    _endpoint: AnyEndpoint
    _request: Request

    def __init__(self, in_flight: InFlight, head: RequestHead = _NO_HEAD) -> None:
        self.head = head
        self.is_whole = False
        self.is_early = False
        """Whether the response goes out before the rest of the request arrives."""
        self.response: Response | None = None
        self.is_invited = False
        self.length = 0
        """Bytes of the body that have arrived."""
        self._in_flight = in_flight
        self._parts: list[bytes] = []
        self._held_bytes = 0

    def admit(self, endpoint: AnyEndpoint) -> None:
        """Let the endpoint decide by the head whether to read the body."""
        head = self.head
        admitted = endpoint.admit(head)
        if isinstance(admitted, Response):
            self.response = admitted
            length = head.content_length
            self.is_early = length is None or length > _AWAITED_BYTES or head.expects_continue
            return
        self._endpoint, self._request = endpoint, admitted
        if (head.content_length or 0) > admitted.body_limit:
            self._refuse_length()

    def answer_with(self, response: Response) -> None:
        """Respond to bytes that are not a request."""
        self.response, self.is_early = response, True

    @property
    def is_ready(self) -> bool:
        """Whether `take` may be called."""
        return self.is_whole or self.is_early

    def invite(self) -> bytes:
        """The 100 Continue that the client waits for before it sends the body, once; else b""."""
        if self.is_invited or self.length or self.response is not None or not self.head.expects_continue:
            return b""
        self.is_invited = True
        return CONTINUE

    def receive(self, part: bytes) -> None:
        """Add a part of the body."""
        if self.response is not None:
            return
        self._parts.append(part)
        self.length += len(part)
        if self.length > self._request.body_limit:
            self._refuse_length()
        elif self.length > _COUNTED_BYTES:
            if self._in_flight.reserve(self.length - self._held_bytes):
                self._held_bytes = self.length
            else:
                self.refuse(Overloaded("too many bodies are arriving at once"))

    def take(self) -> Response | Pending:
        """Serve the request."""
        if self.response is not None:
            return self.response
        parts = self._parts
        self._request.body = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        return self._endpoint.take(self._request)

    def refuse(self, error: BaseException) -> Response:
        """Give up the request because of an error; returns the response."""
        self.response = self._endpoint.refuse(self._request, error)
        self.is_early = True
        self.release()
        return self.response

    def give_up(self, error: Exception) -> None:
        """Respond without waiting for the rest of the request."""
        if self.response is None:
            self.refuse(error)
        self.is_early = True

    def release(self) -> None:
        """Free the parts of the body."""
        if self._held_bytes:
            self._in_flight.release(self._held_bytes)
            self._held_bytes = 0
        self._parts.clear()

    def leave(self) -> None:
        """The client has disconnected: drop the request."""
        self.release()
        if self.response is None:
            self._request.is_gone = True

    def _refuse_length(self) -> None:
        self.refuse(TooLarge(f"the body is over the limit of {self._request.body_limit} bytes"))
