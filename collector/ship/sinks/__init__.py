"""Where batches go: the protocol of all sinks here, and one module for each kind of destination."""

from typing import Protocol

from collector.ship.batch import Batch


class Sink(Protocol):
    """A destination. Every call raises SinkError for what may succeed later; after that it is closed and opened again.

    What blocks is run in a thread, so that intake is never held up.
    """

    async def open(self, log_id: str, sequence: int) -> int:
        """Make ready to deliver events of this log, of which our own cursor says that `sequence` is the next.

        Returns the sequence to go on at: the given one, unless the sink itself knows better what it has.
        """

    async def deliver(self, batch: Batch) -> None:
        """Return once the batch is there for good. The same batch twice counts once. Raises BatchRefused too."""

    async def close(self) -> None:
        """Let go of what `open` took. Called after a failure too, also one of `open`."""
