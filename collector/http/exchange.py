"""A request on a connection, while it arrives and until it is answered."""

from functools import partial
from typing import Final

from collector.errors import Overloaded, TooLarge
from collector.http.endpoint import AnyEndpoint
from collector.http.in_flight import InFlight
from collector.http.request import Request, RequestHead
from collector.http.response import CONTINUE, Pending, Response

_COUNTED_BYTES: Final = 4096
"""Shorter bodies are not counted as in flight: the limit of connections bounds them."""
_SHORT_BYTES: Final = 512
"""Shorter parts are joined: chunks of 2 bytes would take 22 times the memory that is counted."""
_AWAITED_BYTES: Final = 64 << 10
"""A refusal waits for the rest of a body of up to this length, so that the connection can be used again."""
_NO_HEAD: Final = RequestHead("", b"", b"", [], {}, None, "http", keep_alive=False)


class Exchange:
    """A request and its response, which may be known before the request is whole: the rest of the body is dropped then.

    Use `admit` or `answer_with` once, at the beginning.
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
        """Whether the response does not wait for the rest of the request."""
        self.response: Response | None = None
        self.is_invited = False
        self.length = 0
        """Bytes of the body that have arrived."""
        self._in_flight = in_flight
        self._parts: list[bytes] = []
        self._held_bytes = 0

    def admit(self, endpoint: AnyEndpoint) -> None:
        """Decide by the head whether the body is wanted."""
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
        """Answer what is no request."""
        self.response, self.is_early = response, True

    @property
    def is_ready(self) -> bool:
        """Whether `take` may be called."""
        return self.is_whole or self.is_early

    def invite(self) -> bytes:
        """What has a client send its body that waits for a word; once."""
        if self.is_invited or self.length or self.response is not None or not self.head.expects_continue:
            return b""
        self.is_invited = True
        return CONTINUE

    def receive(self, part: bytes) -> None:
        """Add a part of the body."""
        self.length += len(part)
        if self.response is not None:
            return
        if self._parts and len(self._parts[-1]) < _SHORT_BYTES:
            self._parts[-1] += part
        else:
            self._parts.append(part)
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
        taken = self._endpoint.take(self._request)
        if self._held_bytes and isinstance(taken, Pending) and taken.response is None:
            # the task holds the body until it ends, even when the client has left
            taken.until.add_done_callback(partial(_give_back, self._in_flight, self._held_bytes))
            self._held_bytes = 0
        return taken

    def refuse(self, error: BaseException) -> Response:
        """The response to a request that can't be taken any more."""
        self.response = self._endpoint.refuse(self._request, error)
        self.is_early = True
        self.release()
        return self.response

    def give_up(self, error: Exception) -> None:
        """Do not wait for the rest of the request."""
        if self.response is None:
            self.refuse(error)
        self.is_early = True

    def release(self) -> None:
        """Hold nothing of the body any more."""
        if self._held_bytes:
            self._in_flight.release(self._held_bytes)
            self._held_bytes = 0
        self._parts.clear()

    def leave(self) -> None:
        """The client has left: nobody waits for the response."""
        self.release()
        if self.response is None:
            self._request.is_gone = True

    def _refuse_length(self) -> None:
        self.refuse(TooLarge(f"the body is over the limit of {self._request.body_limit} bytes"))


def _give_back(in_flight: InFlight, length: int, _: object) -> None:
    in_flight.release(length)
