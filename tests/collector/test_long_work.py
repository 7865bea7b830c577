"""Long work gives way to requests."""

import asyncio
import threading
import time
from collections.abc import Generator, Iterator

from collector.long_work import SLICE_BYTES, SLICE_SECONDS, computed, joined


async def _threads(length: int) -> set[threading.Thread]:
    return set(await asyncio.gather(*(computed(length, threading.current_thread) for _ in range(3))))


def test_parts_that_take_long_are_joined_in_turns_even_if_they_are_empty() -> None:
    def parts() -> Iterator[bytes]:
        for part in (b"", b"a", b"", b"b"):
            end = time.perf_counter() + 2 * SLICE_SECONDS
            while time.perf_counter() < end:
                continue
            yield part

    def whole() -> Generator[str, None, None]:
        assert (yield from joined(parts(), "pause")) == b"ab"

    assert list(whole()) == ["pause"] * 4


def test_a_short_call_is_computed_at_once() -> None:
    assert asyncio.run(_threads(SLICE_BYTES)) == {threading.main_thread()}


def test_long_calls_are_computed_one_at_a_time_beside_the_event_loop() -> None:
    (thread,) = asyncio.run(_threads(SLICE_BYTES + 1))
    assert thread is not threading.main_thread()
