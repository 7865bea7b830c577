"""Walks a log from one block header to the next, without reading payloads. Owns no file of its own."""

from collections import deque

from wal.errors import Corrupt
from wal.folder import LogFolder
from wal.format import BLOCK_KIND, HEADER_BYTES, Header, Position, SegmentName, decode_header
from wal.segment import SegmentReader


class HeaderWalk:
    """Reads each header of a log once, as soon as a later header proves its block durable. One thread at a time.

    After damage it goes on in the next segment.
    """

    def __init__(self, folder: LogFolder, start: Position) -> None:
        """`start` is a place between two blocks. A segment that retention has dropped is skipped."""
        self.folder = folder
        self.end = start
        """The place after the last block that is known to be durable."""
        self._next = start
        self._segment: SegmentReader | None = None
        self._unproven: deque[Header] = deque()

    def read(self, most: int) -> list[Header]:
        """The next headers of blocks with events, about `most`; fewer at the end of the log.

        Raises Broken, Unreadable, OSError.
        """
        found: list[Header] = []
        while len(found) < most:
            segment = self._segment or self._open()
            if segment is None:
                break
            if header := self._header(segment):
                self._next = Position(header.segment, header.end, header.sequence + header.records)
                self._unproven.append(header)
                found += self._proven(header.durable)
            elif name := self._successor():
                if not self._header(segment):  # else it was written between the two looks
                    found += self._leave(name)
            else:
                break
        return found

    def close(self) -> None:
        """Close the open segment."""
        if self._segment:
            self._segment.close()
            self._segment = None

    def _open(self) -> SegmentReader | None:
        names = [name for name in self.folder.segments() if name.number >= self._next.segment]
        if not names:
            return None
        if names[0].number > self._next.segment:
            self._next = self.end = names[0].start
        self._segment = SegmentReader(self.folder, names[0])
        return self._segment

    def _header(self, segment: SegmentReader) -> Header | None:
        """The header at the current place; None if there is none yet, or damage."""
        header = decode_header(segment.raw(self._next.offset, HEADER_BYTES))
        here = BLOCK_KIND, segment.log_id, self._next.segment, self._next.offset
        return header if header and header[: len(here)] == here else None

    def _proven(self, durable: int) -> list[Header]:
        """The headers of blocks that end before this offset of the segment."""
        found = []
        while self._unproven and self._unproven[0].end <= durable:
            header = self._unproven.popleft()
            self.end = Position(header.segment, header.end, header.sequence + header.records)
            if header.records:
                found.append(header)
        return found

    def _successor(self) -> SegmentName | None:
        later = [name for name in self.folder.segments() if name.number > self._next.segment]
        return later[0] if later else None

    def _leave(self, name: SegmentName) -> list[Header]:
        """Go to the next segment, whose header tells how much of this one is durable. The rest is void."""
        successor = SegmentReader(self.folder, name)
        try:
            durable = successor.header().durable
        except Corrupt:
            durable = self._next.offset
        finally:
            successor.close()
        found = self._proven(durable)
        self._unproven.clear()
        self.close()
        self._next = self.end = name.start
        return found
