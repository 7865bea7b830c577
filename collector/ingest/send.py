"""An answer on its way out: its bytes, in one write."""

from typing import Final

from starlette.types import Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from collector.ingest.answer import Answer
from collector.ingest.cycle import CYCLE, Cycle

_NO_CONTENT: Final = 204
_CLOSE: Final = b"connection: close\r\n"


async def send_answer(scope: Scope, send: Send, answer: Answer) -> None:
    """Send the whole answer to the request of this scope.

    Here in one write, 3 us faster than uvicorn's way for ASGI's two messages, which any other server gets.
    """
    cycle: Cycle | None = scope.get(CYCLE)
    if cycle is None:
        _, *lines = as_bytes(answer, closes=answer.closes, has_body=False).removesuffix(b"\r\n\r\n").split(b"\r\n")
        headers = [tuple(line.split(b": ", 1)) for line in lines]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})
        return
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if not cycle.disconnected:
        write_answer(cycle, answer)
    del scope[CYCLE]  # no work for the garbage collector


def write_answer(cycle: Cycle, answer: Answer) -> None:
    """Write the whole answer, however much of earlier ones the client has yet to read."""
    closes = answer.closes or not cycle.keep_alive
    transport = cycle.connection.transport
    transport.write(as_bytes(answer, closes=closes, has_body=cycle.head.method != "HEAD"))
    cycle.waiting_for_100_continue = False
    cycle.response_started = cycle.response_complete = True
    if closes:
        cycle.keep_alive = False
        transport.close()
    cycle.connection.on_response_complete()


def as_bytes(answer: Answer, *, closes: bool, has_body: bool) -> bytes:
    """The answer as HTTP/1.1; `closes` says that the connection ends behind it."""
    body, close = answer.body, _CLOSE if closes else b""
    length = b"" if answer.status == _NO_CONTENT else b"content-length: %d\r\n" % len(body)
    shown = body if has_body else b""
    return b"%b%b%b%b\r\n%b" % (STATUS_LINE[answer.status], answer.headers, length, close, shown)
