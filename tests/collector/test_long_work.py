"""Long work gives way to requests."""

import asyncio
import threading

from collector.long_work import SLICE_BYTES, computed


async def _threads(length: int) -> set[threading.Thread]:
    return set(await asyncio.gather(*(computed(length, threading.current_thread) for _ in range(3))))


def test_a_short_call_is_computed_at_once() -> None:
    assert asyncio.run(_threads(SLICE_BYTES)) == {threading.main_thread()}


def test_long_calls_are_computed_one_at_a_time_beside_the_event_loop() -> None:
    (thread,) = asyncio.run(_threads(SLICE_BYTES + 1))
    assert thread is not threading.main_thread()
