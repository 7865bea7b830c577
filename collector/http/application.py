"""An ASGI application as an endpoint of our HTTP protocol."""

import asyncio
from typing import Final, cast
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope

from collector.errors import Refusal, Rejected
from collector.http.request import Request, RequestHead
from collector.http.response import Pending, Response, encode_open_head, header_lines, json_response
from collector.http.stream import Stream
from collector.process_log.of_libraries import Uncaught

_UNAVAILABLE: Final = Refusal("unavailable", "the request could not be served; try again later", retry_seconds=1)


class Application:
    """Serves all requests by an ASGI application. A response that it sends in parts becomes a `Stream`."""

    def __init__(self, app: ASGIApp, address: tuple[str, int], body_limit: int) -> None:
        """`address` is the server's own."""
        self._app = app
        self._address = address
        self._body_limit = body_limit
        self._running: set[asyncio.Task[None]] = set()

    def admit(self, head: RequestHead) -> Request:
        """Every request."""
        return Request(head=head, body_limit=self._body_limit)

    def take(self, request: Request) -> Pending:
        """Start the application on a request. The future's result may be a Stream, which AdminConnection takes."""
        call = _Call(request)
        task = asyncio.create_task(call.run(self._app, _scope(request.head, self._address)))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        call.stream.stop = task.cancel
        return Pending(None, cast(asyncio.Future[Response], call.outcome))

    def refuse(self, _request: Request, error: BaseException) -> Response:
        """The response to a request whose body can't be read."""
        return json_response(error.refusal if isinstance(error, Rejected) else _UNAVAILABLE)


class _Call:
    """One request, and the response as far as the application has sent it."""

    def __init__(self, request: Request) -> None:
        self.outcome: asyncio.Future[Response | Stream] = asyncio.get_running_loop().create_future()
        self.stream = Stream()
        self._request = request
        self._is_received = False
        self._start: Message = {}

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Run the application. There is an outcome in any case."""
        try:
            await app(scope, self._receive, self._send)
        except Exception:
            Uncaught().write(exc_info=True)
        finally:
            self.stream.end()
            if not self.outcome.done():
                self.outcome.set_result(json_response(_UNAVAILABLE))

    async def _receive(self) -> Message:
        if self._is_received:
            await self.stream.wait_until_left()
            return {"type": "http.disconnect"}
        self._is_received = True
        body, self._request.body = self._request.body, b""
        return {"type": "http.request", "body": body, "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        part: bytes = message.get("body", b"")
        is_last = not message.get("more_body", False)
        if not self.outcome.done():
            self._respond(part, is_whole=is_last or self._request.head.method == "HEAD")
        else:
            await self.stream.write(part)
        if is_last:
            self.stream.end()

    def _respond(self, part: bytes, *, is_whole: bool) -> None:
        status, headers = self._start["status"], header_lines(self._start["headers"])
        if is_whole:
            self.outcome.set_result(Response(status, headers, part))
            self.stream.leave()  # ends an application that would send more in response to HEAD
        else:
            self.stream.head = encode_open_head(status, headers) + part
            self.outcome.set_result(self.stream)


def _scope(head: RequestHead, address: tuple[str, int]) -> Scope:
    path = head.path.decode()
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": head.version,
        "method": head.method,
        "scheme": head.scheme,
        "path": unquote(path),
        "raw_path": head.path,
        "query_string": head.query,
        "root_path": "",
        "headers": head.headers,
        "client": head.peer,
        "server": address,
    }
