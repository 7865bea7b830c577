"""A load of distinct events over keep-alive connections that remembers what was sent and what was acknowledged."""

import asyncio
import contextlib
import json
import random
from collections.abc import Callable
from itertools import count

from tests.running import Collector, Response, read_response

_TARGET = "/event?portal_id=33167&prop_id=564990801&resp_type=json"
_REPOSE_SECONDS = 0.01


class Load:
    """Posts events until `events` of them are acknowledged; an event whose answer is lost is never sent again."""

    def __init__(self, port: int, events: int, connections: int) -> None:
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self.refused: set[str] = set()
        self._port = port
        self._events = events
        self._connections = connections
        self._numbers = count(1)
        self._random = random.Random(events)
        self._clients: asyncio.Future[list[None]] | None = None

    async def run(self) -> None:
        """Use all connections at once."""
        self._clients = asyncio.gather(*(self._client() for _ in range(self._connections)))
        await self._clients

    async def reached(self, acknowledged: int) -> None:
        """Return once that many are acknowledged. Raises what stopped the load."""
        while len(self.acknowledged) < acknowledged:
            if self._clients and self._clients.done():
                self._clients.result()
            await asyncio.sleep(_REPOSE_SECONDS)

    def finish(self) -> None:
        """Have `run` return after the requests that are under way."""
        self._events = 0

    async def _client(self) -> None:
        while len(self.acknowledged) < self._events:
            with contextlib.suppress(OSError, EOFError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    await self._post_all(reader, writer)
                finally:
                    writer.close()
            await asyncio.sleep(_REPOSE_SECONDS)

    async def _post_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while len(self.acknowledged) < self._events:
            uid = f"u-{next(self._numbers)}"
            body = json.dumps(self._event(uid)).encode()
            head = f"POST {_TARGET} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
            self.sent.add(uid)
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            lines = iter(answer.splitlines(keepends=True))
            response = read_response(lambda lines=lines: next(lines), lambda _: b"")
            await reader.readexactly(int(response.headers["content-length"]))
            if not self._is_taken(uid, response):
                await asyncio.sleep(_REPOSE_SECONDS)

    def _is_taken(self, uid: str, response: Response) -> bool:
        if response.status == 200:
            self.acknowledged.add(uid)
            return True
        assert (response.status, "retry-after" in response.headers) == (503, True), response
        self.refused.add(uid)
        return False

    def _event(self, uid: str) -> dict[str, object]:
        """Shaped and sized like a real one, about 0.5 KB."""
        price = self._random.randrange(10_000, 90_000_000)
        return {
            "ea": self._random.choice(["view", "add_to_cart", "click", "purchase"]),
            "ec": "product",
            "sid": self._random.randrange(2**31),
            "aid": "38400000-8cf0-11bd-b23e-10b96e40000d",
            "uid": uid,
            "context": {"app": {"name": "Shop", "version": "4.34.1"}, "locale": "vi_VN"},
            "extra": {"location_url": f"https://shop.example.com/p/{price}", "title": 'Tivi 4K Samsung 43"'},
            "dims": {"category": {"id": "tv", "name": "Điện tử - Điện lạnh/Tivi"}},
            "items": [{"type": "product", "id": str(price), "brand": "Samsung", "price": price, "quantity": 1}],
        }


async def load_and_crash(
    collector: Collector, events: int, crashes: int, connections: int, crash: Callable[[Collector], None]
) -> Load:
    """Have so many events acknowledged, with some crashes on the way; `crash` leaves a collector that serves."""
    load = Load(collector.port, events, connections)
    running_load = asyncio.create_task(load.run())
    for number in range(1, crashes + 1):
        await load.reached(events * number // (crashes + 1))
        await asyncio.to_thread(crash, collector)
    await running_load
    return load
