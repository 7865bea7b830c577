"""Responses are counted by path and status, and timed from the last byte of their requests."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from collector.http.endpoint import AnyEndpoint
from collector.http.meter import Meter
from collector.http.routes import Routes
from collector.ops.counters import CounterBlock
from tests.collector.http.recorder import Recorder, Worker

HEAD = b"POST /event HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n"


def _counted(counters: CounterBlock, name: str) -> dict[tuple[str, ...], int]:
    return {key[1:]: value for key, value in counters.read().items() if key[0] == name and value}


def _requests(counters: CounterBlock) -> dict[tuple[str, ...], int]:
    return _counted(counters, "tracklog_requests_total")


def _timed(counters: CounterBlock) -> int:
    return sum(_counted(counters, "tracklog_request_seconds").values())


def _run(use: Callable[[Worker], Awaitable[None]]) -> CounterBlock:
    async def run() -> CounterBlock:
        worker = Worker()
        await use(worker)
        worker.close()
        return worker.counters

    return asyncio.run(run())


def test_paths_that_are_not_served_share_a_label_and_escapes_make_none() -> None:
    counters = CounterBlock.create()
    endpoint: AnyEndpoint = Recorder()
    meter = Meter(counters, Routes({b"/event": endpoint}, endpoint))
    for path in (b"/event", b"/%65vent", b"/%65ven%74", b"/x", b"/y", b""):
        meter.count(path, 200, meter.now)
    assert _requests(counters) == {("/event", "200"): 3, ("other", "200"): 3}
    assert _timed(counters) == 6


def test_a_time_begins_with_the_last_byte_and_ends_with_the_response() -> None:
    counters = CounterBlock.create()
    endpoint: AnyEndpoint = Recorder()
    meter = Meter(counters, Routes({}, endpoint))
    meter.now = 100.0
    for whole_at in (99.8, 99.8, 0.0, 97.0):
        meter.count(b"/event", 200, whole_at)
    assert _counted(counters, "tracklog_request_seconds") == {("0.25",): 2, ("0.001",): 1, ("5.0",): 1}
    assert counters.read()["tracklog_request_seconds_sum",] == pytest.approx(3.4e9)


def test_what_is_not_a_request_counts_and_a_client_that_has_left_does_not() -> None:
    async def use(worker: Worker) -> None:
        worker.connect().send(HEAD + b"1")
        worker.connect().send(b"nonsense\r\n\r\n")
        wire = worker.connect()
        wire.send(HEAD + b"?")
        wire.connection.connection_lost(None)
        worker.recorder.go_on()
        await asyncio.sleep(0)

    counters = _run(use)
    assert _requests(counters) == {("other", "200"): 1, ("other", "400"): 1}
    assert _timed(counters) == 2


def test_a_request_that_waits_is_timed_until_its_response() -> None:
    async def use(worker: Worker) -> None:
        worker.connect().send(HEAD + b"?")
        worker.connections.meter.now -= 1  # as if it had come a second ago
        worker.recorder.go_on()
        await asyncio.sleep(0)

    assert _timed(_run(use)) == 1
