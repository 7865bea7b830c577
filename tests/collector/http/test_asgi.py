"""Endpoints under ASGI."""

import asyncio
import tracemalloc
from collections.abc import Iterable

import pytest
from starlette.types import Message, Receive, Scope

from collector.http.asgi import AsgiFace, head_of
from collector.http.in_flight import InFlight
from collector.http.meter import Meter
from collector.http.routes import Routes
from collector.ops.counters import CounterBlock
from collector.settings import Limits
from tests.collector.http.recorder import BODY_LIMIT, Recorder

LIMITS = Limits(body_seconds=0.05)


def _scope(path: str = "/event", **headers: str) -> Scope:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "query_string": b"a=1",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "client": ["203.0.113.7", 4711],
        "scheme": "https",
    }


def _parts(*parts: bytes, is_whole: bool = True) -> list[Message]:
    last = len(parts) - 1
    return [
        {"type": "http.request", "body": part, "more_body": at < last or not is_whole} for at, part in enumerate(parts)
    ]


def _receive(messages: Iterable[Message]) -> Receive:
    """Gives these messages, then waits for ever."""
    waiting = iter(messages)

    async def receive() -> Message:
        for message in waiting:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    return receive


class _Served:
    """An endpoint under ASGI."""

    def __init__(self, in_flight_bytes: int = 8 << 20) -> None:
        self.recorder = Recorder()
        self.in_flight = InFlight(in_flight_bytes)
        self.counters = CounterBlock.create()
        routes = Routes({b"/event": self.recorder}, self.recorder)
        self._app = AsgiFace(routes, LIMITS, self.in_flight, Meter(self.counters, routes))

    async def ask(self, messages: Iterable[Message], path: str = "/event", **headers: str) -> tuple[int, bytes] | None:
        """The status and body of the response; None without a response."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(_scope(path, **headers), _receive(messages), send)
        assert self.in_flight.bytes == 0
        return (sent[0]["status"], sent[1]["body"]) if sent else None


@pytest.mark.parametrize("parts", [[b"{}"], [b""], [b"", b"", b"x"], [b"01234", b"56789"]])
def test_a_body_is_put_together_from_its_parts(parts: list[bytes]) -> None:
    served = _Served()
    assert asyncio.run(served.ask(_parts(*parts))) == (200, b"".join(parts))
    assert served.recorder.taken == [b"".join(parts)]


def test_tiny_parts_take_no_more_memory_than_is_counted() -> None:
    served, parts = _Served(), [b"%02d" % (number % 100) for number in range(40_000)]
    messages, whole = _parts(*parts), b"".join(parts)
    tracemalloc.start()
    try:
        assert asyncio.run(served.ask(messages)) == (200, whole)
        assert tracemalloc.get_traced_memory()[1] < 10 * len(whole)
    finally:
        tracemalloc.stop()


def test_a_refusal_by_the_head_does_not_read_the_body() -> None:
    assert asyncio.run(_Served().ask([], "/refused")) == (403, b"refused")


def test_responses_are_counted_by_path_and_status() -> None:
    served = _Served()
    for path in ("/event", "/event", "/refused"):
        asyncio.run(served.ask(_parts(b"{}"), path))
    counted = {key[1:]: value for key, value in served.counters.read().items() if "requests_total" in key[0]}
    assert counted == {("/event", "200"): 2, ("other", "403"): 1}


@pytest.mark.parametrize(
    ("parts", "headers"),
    [([], {"content_length": str(BODY_LIMIT + 1)}), (_parts(b"x" * 60_000, b"x" * 60_000), {})],
)
def test_a_body_over_the_limit_is_refused(parts: list[Message], headers: dict[str, str]) -> None:
    answer = asyncio.run(_Served().ask(parts, **headers))
    assert answer is not None
    assert (answer[0], b"too_large" in answer[1]) == (413, True)


def test_a_body_that_does_not_arrive_in_time_is_refused() -> None:
    answer = asyncio.run(_Served().ask(_parts(b"{", is_whole=False)))
    assert answer is not None
    assert (answer[0], b"body_timeout" in answer[1]) == (408, True)


def test_a_body_over_the_limit_of_bytes_in_flight_is_shed() -> None:
    answer = asyncio.run(_Served(in_flight_bytes=10).ask(_parts(b"x" * 6, b"x" * 6)))
    assert answer is not None
    assert answer[0] == 503


def test_a_client_that_disconnects_gets_no_response() -> None:
    served = _Served()
    assert asyncio.run(served.ask([*_parts(b"{", is_whole=False), {"type": "http.disconnect"}])) is None
    assert served.recorder.taken == []


def test_a_failed_future_becomes_a_refusal() -> None:
    async def run() -> tuple[int, bytes] | None:
        served = _Served()
        asking = asyncio.create_task(served.ask(_parts(b"?")))
        while not served.recorder.waiting:
            await asyncio.sleep(0)
        served.recorder.waiting[0].set_exception(OSError("no"))
        return await asking

    answer = asyncio.run(run())
    assert answer is not None
    assert answer[0] == 503


def test_a_head_is_read_from_a_scope_with_or_without_its_optional_keys() -> None:
    head = head_of(_scope("/a b", X_Key="1"))
    assert (head.path, head.query, head.fields) == (b"/a%20b", b"a=1", {b"x-key": b"1"})
    assert (head.peer, head.scheme) == (("203.0.113.7", 4711), "https")
    assert head_of({**_scope(), "raw_path": b"/a%2Fb?c", "client": None}).path == b"/a%2Fb"
