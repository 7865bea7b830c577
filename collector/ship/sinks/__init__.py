"""Where batches go: the protocol of all sinks here, and one module for each kind of destination."""

from typing import Protocol

from collector.errors import BadSettings
from collector.settings.sinks import SinkSettings, kind_of, sink_class
from collector.ship.batch import Batch
from collector.ship.mark import Resumption


class Sink(Protocol):
    """A destination. Every call raises SinkError for what may succeed later; after that it is closed and opened again.

    What blocks is run in a thread, so that intake is never held up.
    """

    async def open(self, log_id: str, sequence: int) -> Resumption:
        """Make ready to deliver events of this log, of which our own cursor says that `sequence` is the next.

        Returns the sequence to go on at, which is the given one unless the sink itself knows better what it has; and
        the sink's mark, for the caller to compare with the log.
        """

    async def deliver(self, batch: Batch) -> None:
        """Return once the batch is there for good. The same batch twice counts once. Raises BatchRefused too."""

    async def close(self) -> None:
        """Let go of what `open` took. Called after a failure too, also one of `open`."""


def sink_of(settings: SinkSettings, consumer: str) -> Sink:
    """The sink of these settings, not open yet; `consumer` names its cursor. Raises BadSettings.

    A client library is imported only where its kind of sink is used.
    """
    try:
        sink: Sink = sink_class(settings)(settings, consumer)
    except ModuleNotFoundError as error:
        extra = f"tracklog[{kind_of(settings)}]"
        raise BadSettings(
            f"sink {settings.name}: {error.name} is not installed; pip install '{extra}' brings it"
        ) from None
    return sink
