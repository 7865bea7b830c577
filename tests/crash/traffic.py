"""Clients that never rest while a collector is operated, and that hold every fault against it that nothing excuses.

    an exchange fails ── refused connection ── an outage since it began? ────────────── yes: tried again ── no: failure
                      ├─ reset, no response ── its worker was killed since it began? ── yes: unknown ────── no: failure
                      └─ 503 ───────────────── no worker was ready since it began? ──── yes: refused ────── no: failure

Any other status, and no response at all, is a failure.
"""

import asyncio
import contextlib
import json
import math
import random
import time
from collections.abc import Iterator
from itertools import count
from typing import Final, NamedTuple

from tests.running import PATIENCE_SECONDS, Response, read_response

PORTAL_ID: Final = 33167
_BATCH_EVENTS: Final = 10
_MOST_REPOSE_SECONDS: Final = 0.04
"""Far less than the time that a worker which stops gives an idle connection for the next request."""
_FOREVER: Final = 10**9


class Excuse:
    """The times at which clients may see a certain fault."""

    def __init__(self) -> None:
        self._is_given = False
        self._until = -math.inf

    @contextlib.contextmanager
    def given(self) -> Iterator[None]:
        """Excuse the fault from now on until this ends."""
        self._is_given = True
        try:
            yield
        finally:
            self._until = time.monotonic()
            self._is_given = False

    def covers(self, since: float) -> bool:
        """Whether it was given at any time from `since`, of the monotonic clock, until now."""
        return self._is_given or since <= self._until


class Acknowledgement(NamedTuple):
    """Of an event: its property, and when its request was sent, by the monotonic clock."""

    prop_id: int
    sent_at: float


class Traffic:
    """Posts single events and batches on connections that are kept and on such that are not; each event has its uid."""

    def __init__(self, port: int, prop_id: int, seed: int) -> None:
        self.prop_ids = [prop_id]
        """The properties that get events. Those that are added get them from then on."""
        self.sent: set[str] = set()
        self.acknowledged: dict[str, Acknowledgement] = {}
        self.refused: set[str] = set()
        self.failures: list[str] = []
        self.outages, self.deaths, self.unready = Excuse(), Excuse(), Excuse()
        """There is no collector; a worker dies; no worker is ready."""
        self._port = port
        self._random = random.Random(seed)
        self._numbers = count(1)
        self._is_over = False

    async def run(self) -> None:
        """Post until `finish`."""
        kinds = [(1, _FOREVER)] * 3 + [(1, 1)] * 3 + [(_BATCH_EVENTS, _FOREVER), (_BATCH_EVENTS, 5)]
        await asyncio.gather(*(self._client(events, requests) for events, requests in kinds))

    def finish(self) -> None:
        """Have `run` return after the exchanges that are under way."""
        self._is_over = True

    async def _client(self, events: int, requests: int) -> None:
        """Send bodies of so many events, and so many requests on a connection."""
        while not self._is_over:
            began = time.monotonic()
            try:
                streams = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError as error:
                if not self.outages.covers(began):
                    self._fail(f"refused connection: {error!r}")
                await self._repose()
                continue
            try:
                await self._use(*streams, began, events, requests)
            finally:
                streams[1].close()

    async def _use(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, since: float, events: int, requests: int
    ) -> None:
        """Use a connection until it ends. `since`: the time from which on its worker is known to have lived."""
        for _ in range(requests):
            if self._is_over or reader.at_eof():
                return
            uids = [f"u-{next(self._numbers)}" for _ in range(events)]
            self.sent.update(uids)
            began, prop_id = time.monotonic(), self._random.choice(self.prop_ids)
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    writer.write(_request(prop_id, uids))
                    response = await _response(reader)
            except TimeoutError:
                self._fail(f"no response to {uids[0]}")
                return
            except (OSError, EOFError) as error:
                if not (self.outages.covers(since) or self.deaths.covers(since)):
                    self._fail(f"broken connection, {uids[0]}: {error!r}")
                return
            self._judge(response, uids, Acknowledgement(prop_id, began))
            since = began
            if response.headers.get("connection") == "close":
                return
            await self._repose()

    def _judge(self, response: Response, uids: list[str], acknowledgement: Acknowledgement) -> None:
        body = response.json()
        if response.status == 200 and body.get("accepted", 1) == len(uids):
            self.acknowledged.update(dict.fromkeys(uids, acknowledgement))
            return
        self.refused.update(uids)
        is_documented = (response.status, body.get("code")) == (503, "unavailable")
        is_excused = self.unready.covers(acknowledgement.sent_at) or self.outages.covers(acknowledgement.sent_at)
        if not (is_documented and is_excused and "retry-after" in response.headers):
            self._fail(f"{uids[0]} to property {acknowledgement.prop_id}: {response}")

    def _fail(self, text: str) -> None:
        self.failures.append(f"{time.strftime('%H:%M:%S')} {text}")

    async def _repose(self) -> None:
        await asyncio.sleep(self._random.uniform(0, _MOST_REPOSE_SECONDS))


def _request(prop_id: int, uids: list[str]) -> bytes:
    event = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "dims": {"x": "y" * 300}}
    events = [{**event, "uid": uid} for uid in uids]
    body = json.dumps(events[0] if len(events) == 1 else events).encode()
    target = f"/event?portal_id={PORTAL_ID}&prop_id={prop_id}&resp_type=json"
    lines = [f"POST {target} HTTP/1.1", "host: x", "content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _response(reader: asyncio.StreamReader) -> Response:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = iter(head.splitlines(keepends=True))
    response = read_response(lambda: next(lines), lambda _: b"")
    return response._replace(body=await reader.readexactly(int(response.headers["content-length"])))
