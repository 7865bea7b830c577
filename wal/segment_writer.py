"""The segment that is being written: a header, then blocks, each written and then fsynced."""

import contextlib
from typing import Final

from wal.files import named, write_all
from wal.folder import LogFolder
from wal.format import BLOCK_KIND, HEADER_BYTES, SEGMENT_KIND, Position, SegmentName, crc32c, encode_header

_RESERVE_BYTES: Final = 16 << 20
_SYMLINK: Final = "current.ndjson"


class SegmentWriter:
    """Appends blocks to one segment. Every byte before `offset` is fsynced."""

    def __init__(
        self,
        folder: LogFolder,
        name: SegmentName,
        *,
        predecessor_end: int,
        previous: int,
        timestamp_ms: int,
    ) -> None:
        """Create the file with its header, and point `current.ndjson` at it. After an OSError there is no segment.

        The file name is durable only after the caller has synced the directory.
        """
        self.name = name
        self.sequence = name.sequence
        self.offset = HEADER_BYTES
        self._files = folder.files
        self._log_id = folder.log_id
        self._reserved = 0
        self._written = (0, 0)
        """Bytes and records of the block that is written and not yet synced."""
        self._written_crc = 0
        header, self.previous = encode_header(
            SEGMENT_KIND,
            folder.log_id,
            Position(name.number, 0, name.sequence),
            records=0,
            length=0,
            durable=predecessor_end,
            timestamp_ms=timestamp_ms,
            previous=previous,
            payload_crc=crc32c(b""),
        )
        self._descriptor = self._create(folder.segment_file(name), header)
        with contextlib.suppress(OSError):  # only a convenience for operators; the next rotation tries again
            _point_at(folder, name)

    @property
    def end(self) -> Position:
        """The place of the next block."""
        return Position(self.name.number, self.offset, self.sequence)

    def reserve(self, length: int) -> None:
        """Allocate disk blocks for a block with `length` bytes of payload. Raises OSError; nothing is written then."""
        need = self.offset + HEADER_BYTES + length
        if need > self._reserved:
            try:
                self._reserve_to(need + _RESERVE_BYTES)
            except OSError:
                self._reserve_to(need)  # the disk is almost full: this block may still fit

    def write(self, payload: bytes, records: int, timestamp_ms: int) -> None:
        """Write a block. After an OSError the file may end in a part of it: the caller must start a new segment."""
        header, self._written_crc = encode_header(
            BLOCK_KIND,
            self._log_id,
            self.end,
            records=records,
            length=len(payload),
            durable=self.offset,
            timestamp_ms=timestamp_ms,
            previous=self.previous,
            payload_crc=crc32c(payload),
        )
        self._written = (HEADER_BYTES + len(payload), records)
        write_all(self._files, self._descriptor, [header, payload])

    def sync(self) -> None:
        """Make the written block durable, and advance `end`. After an OSError the content of the disk is unknown."""
        self._files.sync(self._descriptor)
        length, records = self._written
        self.offset += length
        self.sequence += records
        self.previous = self._written_crc
        self._written = (0, 0)

    def seal(self) -> None:
        """Sync the file, and free the allocated blocks after its end if possible. Raises OSError."""
        self._files.sync(self._descriptor)
        with contextlib.suppress(OSError):  # blocks that stay allocated cost no event
            self._files.truncate(self._descriptor, self._files.size(self._descriptor))

    def close(self) -> None:
        """Close the file."""
        self._files.close(self._descriptor)

    def _create(self, path: str, header: bytes) -> int:
        """A descriptor of the new file. It gets its name when the header is synced."""
        descriptor = self._files.create(f"{path}.tmp")
        try:
            with named(path):
                write_all(self._files, descriptor, [header])
                self._files.sync_all(descriptor)
            self._files.rename(f"{path}.tmp", path)
        except BaseException:
            self._files.close(descriptor)
            raise
        return descriptor

    def _reserve_to(self, goal: int) -> None:
        self._files.reserve(self._descriptor, self._reserved, goal - self._reserved)
        self._reserved = goal


def _point_at(folder: LogFolder, name: SegmentName) -> None:
    files, temporary = folder.files, folder.file(f"{_SYMLINK}.tmp")
    if f"{_SYMLINK}.tmp" in files.names(folder.path):
        files.unlink(temporary)
    files.symlink(str(name), temporary)
    files.rename(temporary, folder.file(_SYMLINK))
