"""Attempts at what may fail for a while: the retry loop of a shipper.

A replay has its own, which shows no health and never gives up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from collector.errors import BatchRefused, SinkError
from collector.process_log.of_sinks import SinkBug
from collector.ship.health import SinkHealth
from collector.ship.presence import Presence
from wal.errors import Unreadable

T = TypeVar("T")


class Elsewhere(Exception):
    """The sink continues at another place than that of the batch at hand."""


class GivenUp(Exception):
    """The sink failed while draining, and the caller does not wait for it any longer."""


def never() -> bool:
    """Do not give up."""
    return False


class Attempts:
    """Calls a sink, and repeats what fails, with pauses that grow. The state of the sink is shown with each attempt."""

    def __init__(
        self, name: str, log_path: str, health: SinkHealth, presence: Presence, close: Callable[[], Awaitable[None]]
    ) -> None:
        """`close` closes the sink after a failure."""
        self.gives_up: Callable[[], bool] = never
        self._name = name
        self._log_path = log_path
        self._health = health
        self._presence = presence
        self._close = close

    async def ask(self, purpose: str, call: Callable[[], Awaitable[T]]) -> T:
        """Return what a call to the sink returns. Any other error becomes a SinkError."""
        try:
            with self._presence.attempt(purpose):
                return await call()
        except SinkError:
            raise
        except Exception as error:
            SinkBug(self._name, repr(error)).write(exc_info=True)
            raise SinkError(f"an unforeseen error, see the process log: {error!r}") from error

    async def retry(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeat an attempt until it succeeds. A refusal by the sink is a success: the sink is up.

        Raises BatchRefused, Elsewhere, GivenUp, and all errors that a retry can't mend.
        """
        while True:
            try:
                done = await attempt()
            except (BatchRefused, Elsewhere):
                await self.succeeded()
                raise
            except SinkError as error:
                await self._failed(error)
            except OSError as error:
                await self._failed(SinkError(f"{error.filename or self._log_path}: {error.strerror or error}"))
            except Unreadable as error:
                await self._failed(SinkError(str(error)))
            else:
                await self.succeeded()
                return done

    async def succeeded(self) -> None:
        """Show that the sink is up."""
        self._health.succeeded()
        await self._presence.show()

    async def _failed(self, error: SinkError) -> None:
        pause = self._health.failed(error)
        await self._presence.show()
        await self._close()
        if self.gives_up():
            raise GivenUp
        await asyncio.sleep(pause)
