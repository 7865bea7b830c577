"""When a log is marked as idle, on both event loops: asyncio's, and uvloop's, which serves."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from wal.idle_timer import IDLE_SECONDS, IdleTimer

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("new_loop", LOOPS)
def test_a_time_that_has_come_already_is_planned_and_planned_again(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """uvloop's handle for such a time has no `when`; asking for it once left a log waiting for ever."""

    async def run() -> None:
        idle = asyncio.Event()
        timer = IdleTimer(idle.set)
        timer.committed(asyncio.get_running_loop().time() - IDLE_SECONDS)
        for seconds in (1e-9, 0.0, -1.0, IDLE_SECONDS):
            timer.plan(seconds)
        await idle.wait()
        idle.clear()
        timer.plan(0.0)
        await idle.wait()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asyncio.wait_for(run(), 10))


@pytest.mark.parametrize("new_loop", LOOPS)
def test_a_commit_puts_off_what_is_planned_and_a_stop_ends_it(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def run() -> None:
        loop, calls = asyncio.get_running_loop(), list[float]()
        timer = IdleTimer(lambda: calls.append(loop.time()))
        timer.plan()
        committed = loop.time()
        timer.committed(committed)
        while not calls:
            await asyncio.sleep(0.01)
        assert calls[0] >= committed + IDLE_SECONDS
        timer.stop()
        timer.plan(0.0)
        await asyncio.sleep(0.01)
        assert len(calls) == 1

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asyncio.wait_for(run(), 10))
