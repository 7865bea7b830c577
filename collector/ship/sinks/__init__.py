"""Where batches go: the protocol of all sinks here, and one module for each kind of destination."""

from typing import Protocol

from collector.ship.batch import Batch


class Sink(Protocol):
    """A destination. Every call raises SinkError for what may succeed later."""

    async def open(self) -> None:
        """Make ready to deliver."""

    async def deliver(self, batch: Batch) -> None:
        """Return once the batch is there for good. The same batch twice counts once."""

    async def close(self) -> None:
        """Let go of what `open` took."""
