"""Sinks: the protocol of all kinds, and a module or folder for each. Knows no request, and no sink knows another."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from collector.errors import BadSettings
from collector.settings.sinks import SinkSettings, holdings_function, kind_of, sink_class
from collector.ship.batch import Batch
from collector.ship.holdings import Holdings
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
    with _named_extra(settings):
        sink: Sink = sink_class(settings)(settings, consumer)
    return sink


def holdings_of(settings: SinkSettings) -> Holdings | None:
    """What the sink of these settings holds; None if its kind can't tell. Raises BadSettings."""
    with _named_extra(settings):
        read = holdings_function(settings)
        holdings: Holdings | None = read and read(settings, settings.name)
    return holdings


@contextmanager
def _named_extra(settings: SinkSettings) -> Iterator[None]:
    """Say which extra has the client library that is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        extra = f"tracklog[{kind_of(settings)}]"
        raise BadSettings(
            f"sink {settings.name}: {error.name} is not installed; pip install '{extra}' brings it"
        ) from None
