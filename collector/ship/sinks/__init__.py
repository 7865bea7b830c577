"""Where batches go: the protocol of all sinks here, and one module for each kind of destination."""

from importlib import import_module
from typing import Final, Protocol

from collector.errors import BadSettings
from collector.settings import sinks as sink_config
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


_KINDS: Final[dict[type[sink_config.Sink], str]] = {
    sink_config.FileSink: "file",
    sink_config.KafkaSink: "kafka.sink",
    sink_config.ObjectsSink: "objects.sink",
    sink_config.HttpSink: "http.sink",
}


def sink_of(settings: sink_config.Sink, consumer: str) -> Sink:
    """The sink of these settings, not open yet; `consumer` names its cursor. Raises BadSettings.

    A client library is imported only where its kind of sink is used.
    """
    kind = _KINDS[type(settings)]
    try:
        module = import_module(f"collector.ship.sinks.{kind}")
        sink: Sink = getattr(module, type(settings).__name__)(settings, consumer)
    except ModuleNotFoundError as error:
        extra = kind.removesuffix(".sink")
        raise BadSettings(
            f"sink {settings.name}: {error.name} is not installed; pip install 'tracklog[{extra}]' brings it"
        ) from None
    return sink
