"""Sinks: the protocol of all kinds, and a module or folder for each. Knows no request, and no sink knows another."""

from typing import Protocol

from collector.errors import BadSettings
from collector.settings.sinks import SinkSettings, kind_of, sink_class
from collector.ship.batch import Batch
from collector.ship.mark import Resumption


class Sink(Protocol):
    """A destination. Every call raises SinkError if it may succeed later; the sink is then closed and opened again.

    A sink runs blocking calls in a thread, so that it never delays intake.
    """

    async def open(self, log_id: str, sequence: int) -> Resumption:
        """Prepare to deliver events of this log. By our own cursor `sequence` is the next.

        Returns the sequence to continue at, which is the given one unless the sink itself knows better, and the
        sink's mark, which the caller compares with the log.
        """

    async def deliver(self, batch: Batch) -> None:
        """Return once the batch is durable there. The same batch twice counts once. Raises BatchRefused too."""

    async def close(self) -> None:
        """Release what `open` acquired. Called after a failure too, even one of `open`."""


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
