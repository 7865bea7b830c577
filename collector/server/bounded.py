"""Waits for a call that may block for ever, such as a read from a file system that hangs, no longer than it should."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, call: Callable[[], T]) -> T:
    """The result of a call in a thread. Raises what it raises, and TimeoutError after so many seconds.

    The thread is then left behind. It keeps nobody from ending this process, as one of `asyncio.to_thread` would.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = call()
        except Exception as error:
            tell(done.set_exception, error)
        else:
            tell(done.set_result, result)

    def tell(settle: Callable[[Any], None], value: object) -> None:
        with suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(_settle, done, settle, value)

    threading.Thread(target=run, name="bounded", daemon=True).start()
    return await asyncio.wait_for(done, seconds)


def _settle(done: asyncio.Future[T], settle: Callable[[Any], None], value: object) -> None:
    if not done.done():  # else nobody waits any more
        settle(value)
