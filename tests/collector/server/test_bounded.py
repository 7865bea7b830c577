"""A call in a thread is waited for no longer than it should, and may end whenever it likes."""

import asyncio
import logging
import threading

import pytest

from collector.server.bounded import within
from tests.running import PATIENCE_SECONDS


def _left_behind() -> threading.Thread:
    return next(thread for thread in threading.enumerate() if thread.name == "bounded")


def test_the_result_and_the_error_of_the_call_are_those_of_the_wait() -> None:
    def fail() -> int:
        raise OSError("no such disk")

    assert asyncio.run(within(PATIENCE_SECONDS, lambda: 7)) == 7
    with pytest.raises(OSError, match="no such disk"):
        asyncio.run(within(PATIENCE_SECONDS, fail))


@pytest.mark.parametrize("fails", [False, True])
def test_one_that_ends_after_the_time_is_over_disturbs_nobody(fails: bool, caplog: pytest.LogCaptureFixture) -> None:
    goes_on = threading.Event()

    def hang() -> int:
        goes_on.wait(PATIENCE_SECONDS)
        if fails:
            raise OSError("too late")
        return 7

    async def wait(*, until_it_ends: bool) -> None:
        goes_on.clear()
        with pytest.raises(TimeoutError):
            await within(0.01, hang)
        if until_it_ends:
            thread = _left_behind()
            goes_on.set()
            await asyncio.to_thread(thread.join)
            await asyncio.sleep(0)

    with caplog.at_level(logging.DEBUG):
        asyncio.run(wait(until_it_ends=True))
        asyncio.run(wait(until_it_ends=False))
        thread = _left_behind()
        goes_on.set()  # the event loop is closed
        thread.join()
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
