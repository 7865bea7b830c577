"""The tasks beside the requests of a worker: shipping, adoption, retention, and notices for the process log."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from collector.ops.notices import Notices
from collector.process_log.of_shards import CloseFailed
from collector.server.ending import stop_after_a_bug
from collector.settings import Settings
from collector.shards.adoption import adopt_orphans
from collector.shards.opening import Opened
from collector.shards.shard import drop_dead_letters_forever
from wal.committer import Committer
from wal.errors import WalError

_NOTICE_SECONDS: Final = 1.0


async def log_notices_forever(notices: Notices) -> None:
    """Log what `notices` has counted, once a second."""
    while True:
        await asyncio.sleep(_NOTICE_SECONDS)
        log_notices(notices)


def log_notices(notices: Notices, *, is_last: bool = False) -> None:
    """Log what is due."""
    for event in notices.due(time.monotonic(), is_last=is_last):
        event.write()


@asynccontextmanager
async def shipping(settings: Settings, opened: Opened, grace: Callable[[], float]) -> AsyncIterator[None]:
    """Ship, adopt orphans and drop old segments; at the end ship the rest, as far as time allows."""
    opened.shard.start()
    tasks = [
        asyncio.create_task(adopt_orphans(settings, opened.sink_dead_letters, opened.index)),
        asyncio.create_task(drop_dead_letters_forever(settings, opened.dead_committer)),
    ]
    for task in tasks:
        task.add_done_callback(stop_after_a_bug)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await opened.shard.close(grace())
        await _close(opened.dead_committer)
        opened.index.close()


async def _close(committer: Committer) -> None:
    try:
        await committer.close()
    except WalError as error:
        CloseFailed(str(error)).write()
    committer.log.close()
