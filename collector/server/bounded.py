"""Waits for a call that may block for ever, such as a read from a file system that hangs, no longer than it should."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def within(seconds: float, call: Callable[[], T]) -> T:
    """The result of a call in a thread. Raises what it raises, and TimeoutError after so many seconds.

    The thread is then left behind. It keeps nobody from ending this process, as one of `asyncio.to_thread` would.
    """
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()  # else a time-out would cancel it, and the thread could not settle it

    def run() -> None:
        try:
            done.set_result(call())
        except Exception as error:
            done.set_exception(error)

    threading.Thread(target=run, name="bounded", daemon=True).start()
    return await asyncio.wait_for(asyncio.wrap_future(done), seconds)
