"""The file sink: `dir/date=YYYY-MM-DD/hour=HH/<log_id>-<first>-<last>.<format>`, UTC, by when a block was committed."""

import os
from typing import Annotated, Final, Self

from msgspec import Meta
from msgspec.structs import replace

from collector.settings.fields import Text
from collector.settings.sinks import FlushBytes, FlushSeconds, SinkName
from collector.ship.batch import Batch
from collector.ship.mark import Resumption
from collector.ship.stores.archive import Archive, ArchiveSettings
from collector.ship.stores.folder import Folder
from collector.ship.stores.stored_files import StoredFiles

_PARTITION: Final = "date={date}/hour={hour}"


class FileSinkSettings(ArchiveSettings, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="file"):
    """Events as files, by date and hour."""

    dir: Annotated[Text, Meta(description="folder of the folders `date=…/hour=…/`")]
    name: SinkName = "file"
    flush_bytes: FlushBytes = 8 << 20
    flush_seconds: FlushSeconds = 5.0

    def relative_to(self, folder: str) -> Self:
        """With `dir` relative to the folder of the settings file."""
        return replace(self, dir=os.path.join(folder, self.dir)) if self.dir else self

    def folders(self) -> dict[str, str]:
        """The folder of the files."""
        return {"dir": self.dir} if self.dir else {}


class FileSink:
    """Writes each batch as one file an hour."""

    def __init__(self, settings: FileSinkSettings, consumer: str) -> None:
        """Raises BadSettings."""
        self._folder = Folder(settings.dir)
        self._archive = Archive(self._folder, settings, consumer)

    async def open(self, log_id: str, sequence: int) -> Resumption:
        """Create the directory, and look up its mark. Raises SinkError."""
        await self._folder.open()
        return await self._archive.open(log_id, sequence)

    async def deliver(self, batch: Batch) -> None:
        """Write, fsync and link the files of a batch. Raises SinkError."""
        await self._archive.deliver(batch, _PARTITION)

    async def close(self) -> None:
        """Nothing is held open between batches."""


def file_holdings(settings: FileSinkSettings, consumer: str) -> StoredFiles:
    """The files of a sink. Raises BadSettings."""
    return StoredFiles(Folder(settings.dir), settings, consumer)
