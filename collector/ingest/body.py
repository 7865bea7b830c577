"""The body of a request: of a kind that is read, whole, within its limits of bytes and time."""

import asyncio
from typing import Final, cast

from starlette.types import Receive

from collector.config import Limits
from collector.errors import SlowBody, TooLarge, UnsupportedMedia

JSON_TYPES: Final = frozenset((b"application/json", b"text/plain", b""))
"""`sendBeacon` sends text/plain, and careless clients send no type at all."""
_SWEEP_SECONDS: Final = 1.0


class ClientGone(Exception):
    """The connection ended before the body did: there is nobody to answer."""


def check_media(headers: dict[bytes, bytes]) -> None:
    """Raise UnsupportedMedia unless the headers announce plain JSON."""
    kind = headers.get(b"content-type", b"")
    if kind not in JSON_TYPES and kind.partition(b";")[0].strip().lower() not in JSON_TYPES:
        raise UnsupportedMedia("expected content-type application/json or text/plain")
    if headers.get(b"content-encoding", b"").lower() not in (b"", b"identity"):
        raise UnsupportedMedia("expected no content-encoding")


class BodyReader:
    """Reads bodies, and cancels those that are late: one sweep a second, not a timer a request."""

    def __init__(self, limits: Limits) -> None:
        """Create it inside the event loop."""
        self._limit = limits.body_bytes
        self._seconds = limits.body_seconds
        self._loop = asyncio.get_running_loop()
        self._deadlines: dict[asyncio.Task[None], float] = {}
        self._late: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, receive: Receive, headers: dict[bytes, bytes]) -> bytes:
        """The whole body. Raises TooLarge, SlowBody, ClientGone."""
        announced = headers.get(b"content-length")
        if announced is not None and int(announced) > self._limit:
            raise TooLarge(f"the body is over the limit of {self._limit} bytes")
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._deadlines[task] = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
        try:
            return await self._read(receive)
        except asyncio.CancelledError:
            if task in self._late and task.uncancel() == 0:
                raise SlowBody(f"the body did not arrive within {self._seconds:g} s") from None
            raise
        finally:
            del self._deadlines[task]
            self._late.discard(task)

    async def _read(self, receive: Receive) -> bytes:
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part: bytes = message["body"]
            more = message["more_body"]
            if len(body) + len(part) > self._limit:
                raise TooLarge(f"the body is over the limit of {self._limit} bytes")
            body = body + part if body else part
        return body

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(_SWEEP_SECONDS, self._sweep) if self._deadlines else None
        now = self._loop.time()
        for task, deadline in self._deadlines.items():
            if deadline < now and task not in self._late:
                self._late.add(task)
                task.cancel()
