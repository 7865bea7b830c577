"""The events that a sink holds, as an audit reads them."""

from typing import Protocol

from collector.ship.formats.encoding import FileEvents
from collector.ship.mark import Mark
from collector.ship.partition import DeliveredFile


class Holdings(Protocol):
    """The events that a sink holds, of all logs. Reading changes nothing there. Every call raises SinkError."""

    where: str
    """The name of the store in messages."""

    async def mark(self, log_id: str) -> Mark | None:
        """The sink's own position in a log, None if it keeps none."""

    async def files(self) -> tuple[list[DeliveredFile], list[str]]:
        """The files that a sink delivered, of this one and of others that share the store; and other names there."""

    async def events(self, file: DeliveredFile) -> FileEvents:
        """The events in a file. Raises SinkError for a file that is damaged."""
