"""An ASGI application as an endpoint of our HTTP protocol."""

import asyncio
from collections.abc import Callable
from typing import Final, cast
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope

from collector.errors import Rejected
from collector.http.request import Request, RequestHead
from collector.http.response import Pending, Response, encode_open_head, header_lines, json_response
from collector.http.status import UNSERVED
from collector.http.stream import Stream
from collector.process_log.of_libraries import Uncaught

_WITHOUT_EFFECT: Final = ("GET", "HEAD")


class ApplicationRequest(Request):
    """A request to the application."""

    end: Callable[[], object] = lambda: None
    """Ends the work on it, if it has no effect: nobody waits for it any more."""


class Application:
    """Serves all requests by an ASGI application. A response that it sends in parts becomes a `Stream`.

    Only for connections whose `finish` takes a Stream.
    """

    def __init__(self, app: ASGIApp, address: tuple[str, int], body_limit: int) -> None:
        """`address` is the server's own."""
        self._app = app
        self._address = address
        self._body_limit = body_limit
        self._running: set[asyncio.Task[None]] = set()

    def admit(self, head: RequestHead) -> ApplicationRequest:
        """Every request."""
        return ApplicationRequest(head=head, body_limit=self._body_limit)

    def take(self, request: ApplicationRequest) -> Pending:
        """Start the application on a request. The future's result may be a Stream."""
        call = _Call(request.head, request.body)
        request.body = b""
        task = asyncio.create_task(call.run(self._app, self._address))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        call.stream.stop = task.cancel
        if request.head.method in _WITHOUT_EFFECT:
            request.end = task.cancel
        return Pending(None, cast(asyncio.Future[Response], call.outcome))

    def refuse(self, _request: ApplicationRequest, error: BaseException) -> Response:
        """The response to a request whose body did not arrive, or is over its limit."""
        return json_response(error.refusal if isinstance(error, Rejected) else UNSERVED)


class _Call:
    """One request, and the response as far as the application has sent it."""

    def __init__(self, head: RequestHead, body: bytes) -> None:
        self.outcome: asyncio.Future[Response | Stream] = asyncio.get_running_loop().create_future()
        self.stream = Stream()
        self._head = head
        self._body: bytes | None = body
        self._start: Message = {}

    async def run(self, app: ASGIApp, address: tuple[str, int]) -> None:
        """Run the application. There is an outcome in any case."""
        try:
            await app(_scope(self._head, address), self._receive, self._send)
        except Exception:
            Uncaught().write(exc_info=True)
        finally:
            self.stream.end()
            if not self.outcome.done():
                self.outcome.set_result(json_response(UNSERVED))

    async def _receive(self) -> Message:
        if self._body is None:
            await self.stream.wait_until_left()
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        part: bytes = message.get("body", b"")
        is_last = not message.get("more_body", False)
        if self.outcome.done():
            await self.stream.write(part)
        else:
            self._respond(part, is_whole=is_last)
        if is_last:
            self.stream.end()

    def _respond(self, part: bytes, *, is_whole: bool) -> None:
        status, headers = self._start["status"], header_lines(self._start["headers"])
        if is_whole:
            self.outcome.set_result(Response(status, headers, part))
            self.stream.leave()  # for an application that waits until its client has the response
        elif self._head.method == "HEAD":
            self.stream.head = encode_open_head(status, headers)
            self.outcome.set_result(self.stream)
            self.stream.end()
        else:
            self.stream.head = encode_open_head(status, headers) + part
            self.outcome.set_result(self.stream)


def _scope(head: RequestHead, address: tuple[str, int]) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": head.version,
        "method": head.method,
        "scheme": head.scheme,
        "path": unquote(head.path.decode()),
        "raw_path": head.path,
        "query_string": head.query,
        "root_path": "",
        "headers": head.headers,
        "client": head.peer,
        "server": address,
    }
