"""Runs a shipper: restarts it after a bug, and logs every end."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from collector.process_log.of_sinks import ShipperBug, SinkStopped
from collector.ship.retry import Backoff
from collector.ship.shipper import Shipper
from wal.errors import WalError

_RESTARTS: Final = 5
"""Crashes in a row without progress after which only a new process may help."""


async def supervised(shipper: Shipper, end_worker: Callable[[Exception], None] | None) -> None:
    """Run a shipper until it is drained. One that stops stays stopped, and says so, until then.

    `end_worker` ends this process, so that another one starts; without it the shipper stops after as many deaths.
    """
    presence = asyncio.create_task(shipper.presence.keep())
    try:
        if not await _run(shipper, end_worker):
            await shipper.drained()
    finally:
        presence.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await presence


async def _run(shipper: Shipper, end_worker: Callable[[Exception], None] | None) -> bool:
    """Whether the shipper came to its end; False where it stopped."""
    backoff, passed = Backoff(), shipper.passed
    while True:
        try:
            await shipper.run()
        except WalError as error:
            SinkStopped(shipper.name, str(error)).write()
            return False
        except Exception as error:
            if shipper.passed != passed:
                backoff.reset()
            passed, pause = shipper.passed, backoff.next()
            ShipperBug(shipper.name, backoff.failures).write(exc_info=True)
            if backoff.failures > _RESTARTS:
                if end_worker:
                    end_worker(RuntimeError(f"sink {shipper.name} does not run in this process: {error!r}; it ends"))
                else:
                    SinkStopped(shipper.name, repr(error)).write()
                return False
        else:
            return True
        await asyncio.sleep(pause)
