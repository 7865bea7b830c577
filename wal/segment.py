"""The decoder of one segment file. Recovery and every reader share it."""

from typing import Final, NamedTuple

from wal.errors import Broken, Corrupt, ForeignLog, Unreadable
from wal.folder import LogFolder
from wal.format import (
    BLOCK_KIND,
    HEADER_BYTES,
    MAX_BLOCK_BYTES,
    SEGMENT_KIND,
    Header,
    Position,
    SegmentName,
    decode_header,
    payload_fault,
)

_READ_BYTES: Final = 256 << 10
_SHOWN_BYTES: Final = 24


class Block(NamedTuple):
    """One commit: its header, and its payload of `header.records` JSON lines, each ending in LF."""

    header: Header
    payload: bytes

    @property
    def start(self) -> Position:
        """The place before this block."""
        return Position(self.header.segment, self.header.offset, self.header.sequence)

    @property
    def end(self) -> Position:
        """The place after this block."""
        header = self.header
        return Position(header.segment, header.end, header.sequence + header.records)


class SegmentReader:
    """Decodes the blocks of one segment through its own buffer. Sees bytes that are appended meanwhile."""

    def __init__(self, folder: LogFolder, name: SegmentName) -> None:
        self.path = folder.segment_file(name)
        self.name = name
        self.log_id = folder.log_id
        self._files = folder.files
        self._descriptor = self._files.open(self.path)
        self._buffer = b""
        self._buffer_offset = 0

    def header(self) -> Header:
        """The segment's own header. Raises Corrupt; ForeignLog if it is the header of another log."""
        line = self._bytes(0, HEADER_BYTES)
        header = decode_header(line)
        if header is not None and header.log_id != self.log_id:
            raise ForeignLog(self.path, 0, f"a segment of log {self.log_id!r}", f"one of log {header.log_id!r}")
        if header is None or header.kind != SEGMENT_KIND or not self._belongs_here(header, 0):
            raise Corrupt(self.path, 0, f"the header of segment {self.name.number} of this log", _shown(line))
        return header

    def block(self, offset: int) -> Block | None:
        """The block at `offset`, or None if the file ends before the end of the block. Raises Corrupt, Unreadable."""
        header = self.block_header(offset)
        if header is None:
            line = self._bytes(offset, HEADER_BYTES)
            if len(line) < HEADER_BYTES:
                return None
            raise Corrupt(self.path, offset, "the header of a block of this log", _shown(line))
        if header.length > MAX_BLOCK_BYTES:
            raise Corrupt(self.path, offset, f"at most {MAX_BLOCK_BYTES} bytes of payload", str(header.length))
        payload = self._bytes(offset + HEADER_BYTES, header.length)
        if len(payload) < header.length:
            return None
        if fault := payload_fault(header, payload):
            raise Corrupt(self.path, offset, f"{header.records} lines in {header.length} bytes", fault)
        return Block(header, payload)

    def block_header(self, offset: int) -> Header | None:
        """The block header at `offset`, whatever payload follows it; None if there is no such header."""
        header = decode_header(self._bytes(offset, HEADER_BYTES))
        return header if header and header.kind == BLOCK_KIND and self._belongs_here(header, offset) else None

    def check_follows(self, header: Header, sequence: int, previous: int | None) -> None:
        """Raise Broken unless `header` continues the sequence, and the chain of CRCs if `previous` is known."""
        if header.sequence != sequence or previous not in (None, header.previous):
            raise Broken(
                self.path,
                header.offset,
                f"sequence {sequence} after header {previous or header.previous:08x}",
                f"sequence {header.sequence} after header {header.previous:08x}",
            )

    def forget(self) -> None:
        """Drop the buffer, so that the next call sees the file as it is now."""
        self._buffer = b""

    def raw(self, offset: int, length: int) -> bytes:
        """Undecoded bytes, fewer at the end of the file. Raises Unreadable."""
        data = b""
        try:
            # A read is short before a bad sector as well as at the end of the file. Only the next read tells which.
            while len(data) < length:
                part = self._files.read(self._descriptor, length - len(data), offset + len(data))
                if not part:
                    break
                data += part
        except OSError as error:
            raise Unreadable(
                f"{self.path}: at byte {offset}: {error.strerror}; the disk is failing, copy this log to another disk"
            ) from error
        return data

    def size(self) -> int:
        """The current size of the file in bytes."""
        return self._files.size(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        self._files.close(self._descriptor)

    def _belongs_here(self, header: Header, offset: int) -> bool:
        return header.log_id == self.log_id and header.segment == self.name.number and header.offset == offset

    def _bytes(self, offset: int, length: int) -> bytes:
        start = offset - self._buffer_offset
        if start < 0 or start + length > len(self._buffer):
            self._buffer = self.raw(offset, max(length, _READ_BYTES))
            self._buffer_offset, start = offset, 0
        return self._buffer[start : start + length]


def _shown(line: bytes) -> str:
    return repr(line[:_SHOWN_BYTES])[1:] + ("…" if len(line) > _SHOWN_BYTES else "")
