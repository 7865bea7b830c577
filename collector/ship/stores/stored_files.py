"""The files in a store, as an audit reads them."""

import asyncio
from typing import Final

from collector.errors import SinkError
from collector.ship.formats.encoding import FileEvents, encoding
from collector.ship.mark import Mark
from collector.ship.partition import DeliveredFile, file_named
from collector.ship.stores.archive import FOLDER, Archive, ArchiveSettings, Store

_MARKS: Final = f"{FOLDER}/"


class StoredFiles:
    """The files of one sink. Each is read whole, one at a time."""

    def __init__(self, store: Store, settings: ArchiveSettings, consumer: str) -> None:
        """Raises BadSettings if the library of the format is missing."""
        self.where = store.where
        self._store = store
        self._archive = Archive(store, settings, consumer)

    async def mark(self, log_id: str) -> Mark | None:
        """The sink's mark of a log. Raises SinkError."""
        return await self._archive.mark(log_id)

    async def files(self) -> tuple[list[DeliveredFile], list[str]]:
        """The files by their names, of every format, and other names. Raises SinkError."""
        found: list[DeliveredFile] = []
        others: list[str] = []
        for name in await self._store.names():
            if file := file_named(name):
                found.append(file)
            elif not name.startswith(_MARKS):
                others.append(name)
        return found, others

    async def events(self, file: DeliveredFile) -> FileEvents:
        """The events in a file. Raises SinkError."""
        content = await self._store.read(file.name)
        if content is None:
            raise SinkError("it was deleted while the audit ran")
        try:
            return await asyncio.to_thread(encoding(file.format).events, file.log_id, content)
        except ImportError as error:
            raise SinkError(f"{error.name} is not installed; pip install 'tracklog[parquet]' brings it") from None
        except ValueError as error:
            raise SinkError(str(error)) from None
