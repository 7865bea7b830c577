"""The file sink: `dir/date=YYYY-MM-DD/hour=HH/<log_id>-<first>-<last>.<format>`, UTC, by when a block was committed."""

from typing import Final

from collector.settings import sinks as sink_config
from collector.ship.archive import Archive
from collector.ship.batch import Batch
from collector.ship.folder import Folder
from collector.ship.mark import Resumption

_PARTITION: Final = "date={date}/hour={hour}"


class FileSink:
    """Writes each batch as one file an hour."""

    def __init__(self, settings: sink_config.FileSink, consumer: str) -> None:
        """Raises BadSettings."""
        self._folder = Folder(settings.dir)
        self._archive = Archive(self._folder, settings, consumer)

    async def open(self, log_id: str, sequence: int) -> Resumption:
        """Create the directory, and look up how far the files in it go. Raises SinkError."""
        await self._folder.open()
        return await self._archive.open(log_id, sequence)

    async def deliver(self, batch: Batch) -> None:
        """Write, fsync and link the files of a batch. Raises SinkError."""
        await self._archive.deliver(batch, _PARTITION)

    async def close(self) -> None:
        """Nothing is held open between batches."""
