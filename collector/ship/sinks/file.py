"""The file sink: `dir/date=YYYY-MM-DD/hour=HH/<log_id>-<first>-<last>.ndjson.zst`, UTC, by when a block was committed.

Name and bytes follow from the batch alone, and a name is linked into place whole and never overwritten:
a batch that is delivered twice is one file.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

import zstandard

from collector import sink_config
from collector.errors import SinkError
from collector.ship.batch import Batch, Part

_LEVEL: Final = 3
_HOUR_SECONDS: Final = 3600


class FileSink:
    """Writes each batch as one file an hour."""

    def __init__(self, settings: sink_config.FileSink, _consumer: str) -> None:
        self._directory = settings.dir

    async def open(self, log_id: str, sequence: int) -> int:  # noqa: ARG002
        """Create the directory. Raises SinkError."""
        with _reported(self._directory):
            await asyncio.to_thread(os.makedirs, self._directory, exist_ok=True)
        return sequence

    async def deliver(self, batch: Batch) -> None:
        """Write, fsync and link the files of a batch. Raises SinkError."""
        with _reported(self._directory):
            for name, payload in _files(batch):
                await asyncio.to_thread(_write, self._directory, name, payload)

    async def close(self) -> None:
        """Nothing is held open between batches."""


@contextlib.contextmanager
def _reported(directory: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SinkError(f"{error.filename or directory}: {error.strerror}") from error


def _files(batch: Batch) -> Iterator[tuple[str, list[bytes]]]:
    """The files that a batch becomes: a name below the sink's directory, and its lines, for each hour."""
    for hour, group in groupby(batch.parts, key=_hour):
        parts = list(group)
        folder = datetime.fromtimestamp(hour * _HOUR_SECONDS, UTC).strftime("date=%Y-%m-%d/hour=%H")
        name = f"{batch.log_id}-{parts[0].first:016d}-{parts[-1].last:016d}.ndjson.zst"
        yield f"{folder}/{name}", [part.payload for part in parts]


def _hour(part: Part) -> int:
    return part.timestamp_ms // 1000 // _HOUR_SECONDS


def _write(directory: str, name: str, payload: list[bytes]) -> None:
    path = os.path.join(directory, name)
    temporary = f"{path}.tmp"
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(path):
        with open(temporary, "wb") as file:
            file.write(zstandard.ZstdCompressor(level=_LEVEL).compress(b"".join(payload)))
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    # Also where the file is there already: whoever linked it may have died before this.
    for touched in (folder, os.path.dirname(folder), directory, os.path.dirname(directory)):
        _sync_directory(touched)


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
