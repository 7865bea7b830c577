"""The one reader across segments: the shipper, the command line and the tests follow a live log with it."""

from wal.errors import Corrupt
from wal.files import Files
from wal.format import HEADER_BYTES, Position
from wal.segment import Block, SegmentReader, list_segments


def oldest(files: Files, directory: str) -> Position | None:
    """The first place of a log, or None where it has no segment."""
    names = list_segments(files, directory)
    return Position(names[0].number, HEADER_BYTES, names[0].sequence) if names else None


class Reader:
    """Reads block after block from `position` on, whatever segment they are in. Not for two threads at once."""

    def __init__(self, files: Files, directory: str, log_id: bytes, start: Position) -> None:
        """`start` is a place between two blocks, as `oldest` or a cursor gives it."""
        self.position = start
        self._files = files
        self._directory = directory
        self._log_id = log_id
        self._segment: SegmentReader | None = None
        self._previous: int | None = None

    def next(self, limit: Position | None = None) -> Block | None:
        """The next block, or None where there is none yet before `limit`. Raises Corrupt, FileNotFoundError."""
        while limit is None or self.position < limit:
            segment = self._segment or self._open()
            try:
                block = segment.block(self.position.offset)
                fault = None
            except Corrupt as error:
                block, fault = None, error
            if block is None:
                if not self._go_to_successor(segment, fault):
                    return None
                continue
            segment.check_follows(block.header, self.position, self._known_previous(block.header.previous))
            self.position, self._previous = block.end, block.header.header_crc
            return block
        return None

    def close(self) -> None:
        """Let go of the open segment."""
        if self._segment:
            self._segment.close()
            self._segment = None

    def _open(self) -> SegmentReader:
        names = list_segments(self._files, self._directory)
        name = next((name for name in names if name.number == self.position.segment), None)
        if name is None:
            raise Corrupt(self._directory, 0, f"segment {self.position.segment}", "no such file")
        self._segment = SegmentReader(self._files, self._directory, self._log_id, name)
        return self._segment

    def _go_to_successor(self, segment: SegmentReader, fault: Corrupt | None) -> bool:
        """Move to the next segment if this one ends here. Raises the fault, or Corrupt, if blocks are missing."""
        names = list_segments(self._files, self._directory)
        name = next((name for name in names if name.number == segment.name.number + 1), None)
        if name is None:
            if fault:
                raise fault
            return False
        successor = SegmentReader(self._files, self._directory, self._log_id, name)
        try:
            header = successor.header()
            if self.position.offset < header.durable:
                if fault is None and segment.block(self.position.offset):  # written since it was looked for
                    successor.close()
                    return True
                raise fault or Corrupt(segment.path, self.position.offset, f"blocks up to {header.durable}", "the end")
            successor.check_follows(header, self.position, self._known_previous(header.previous))
        except Corrupt:
            successor.close()
            raise
        segment.close()
        self._segment = successor
        self.position, self._previous = Position(name.number, HEADER_BYTES, header.sequence), header.header_crc
        return True

    def _known_previous(self, claimed: int) -> int:
        """The CRC of the header before, as read; at the place where reading began there is only the claim."""
        return claimed if self._previous is None else self._previous
