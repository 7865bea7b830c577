"""The endpoint of relays: bounds for the batches that it holds, and its error log."""

import asyncio
import errno
import json
import logging
from collections.abc import Iterable
from hashlib import blake2b

import pytest
from starlette.types import Message, Scope

from collector.errors import RelayBlocked
from collector.http.asgi import AsgiFace
from collector.http.in_flight import InFlight
from collector.http.meter import Meter
from collector.http.routes import Routes
from collector.ingest.dialects.relay.endpoint import RelayEndpoint
from collector.ops.counters import CounterBlock
from collector.settings import Limits

KEY = b"key-a-0123456789abcdef"
NODE = "00000000000000aa"
LIMITS = Limits(in_flight_bytes=8 << 20)


class Stub:
    """Relays whose batches wait until `go_on` is set, and then fail with the next errors in the list."""

    def __init__(self, errors: Iterable[Exception] = ()) -> None:
        self.go_on = asyncio.Event()
        self.under_way = self.most = 0
        self._errors = iter(errors)

    async def next(self, key_digest: bytes, log_id: str) -> tuple[int, str | None]:
        """The next sequence of an unknown log."""
        return 0, None

    async def take(
        self, key_digest: bytes, log_id: str, records: list[tuple[int, bytes]], chain: str | None = None
    ) -> int:
        """Wait, then store all or fail."""
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.go_on.wait()
        self.under_way -= 1
        for error in self._errors:
            raise error
        return records[-1][0] + 1


def _endpoint(relays: Stub) -> AsgiFace:
    endpoint = RelayEndpoint(relays=relays, key_digests=(blake2b(KEY).digest(),), limits=LIMITS)
    routes = Routes({}, endpoint)
    return AsgiFace(routes, LIMITS, InFlight(LIMITS.in_flight_bytes), Meter(CounterBlock.create(), routes))


async def _post(endpoint: AsgiFace, body: bytes) -> tuple[int, bytes]:
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/relay",
        "query_string": f"log_id={NODE}".encode(),
        "headers": [(b"x-write-key", KEY), (b"content-length", b"%d" % len(body))],
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await endpoint(scope, receive, send)
    start, end = sent
    return start["status"], end["body"]


def _body(length: int = 0) -> bytes:
    return (
        b'{"id":"%b-5","received_at":1,"portal_id":1,"prop_id":2,"source":"web","referer":"%b","s2s":false,"au_id":"3",'
        b'"event":{}}\n' % (NODE.encode(), b"x" * length)
    )


def test_only_a_few_batches_are_in_memory_at_a_time_and_the_others_wait() -> None:
    async def run() -> None:
        relays = Stub()
        endpoint = _endpoint(relays)
        posts = [asyncio.create_task(_post(endpoint, _body())) for _ in range(20)]
        while relays.under_way < 8:
            await asyncio.sleep(0)
        await asyncio.wait(posts, timeout=0.1)
        relays.go_on.set()
        assert await asyncio.gather(*posts) == [(200, b"6")] * 20
        assert relays.most == 8

    asyncio.run(run())


def test_waiting_bodies_are_bounded_in_bytes() -> None:
    async def run() -> None:
        relays = Stub()
        endpoint = _endpoint(relays)
        body = _body(1_000_000)
        posts = [asyncio.create_task(_post(endpoint, body)) for _ in range(10)]
        done, _ = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
        relays.go_on.set()
        statuses = [(await post)[0] for post in posts]
        assert statuses.count(503) == 2, "of 8 MiB"
        assert {post.result()[0] for post in done} == {503}
        assert (await _post(endpoint, body))[0] == 200

    asyncio.run(run())


def test_an_error_is_logged_when_it_begins_and_not_at_every_attempt(caplog: pytest.LogCaptureFixture) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    blocked = RelayBlocked(f"relays/{NODE}.json: damaged: x; restore it")

    async def run() -> None:
        relays = Stub([full, full, blocked, blocked])
        relays.go_on.set()
        endpoint = _endpoint(relays)
        answers = [await _post(endpoint, _body()) for _ in range(5)]
        assert [status for status, _ in answers] == [503] * 4 + [200]
        assert b"send it again later" in answers[0][1]
        assert json.loads(answers[2][1]) == {"code": "unavailable", "message": str(blocked)}

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert [record.getMessage() for record in caplog.records] == [
        "relay failed: a write below relays/: No space left on device",
        f"log {NODE} can't be relayed: {blocked}",
    ]
