"""The one reader across segments: recovery, the shipper, the command line and the tests read a log with it."""

from collections.abc import Iterator

from wal.damage import Damage, Kind, read_ledger
from wal.errors import Broken, Corrupt, ForeignLog, MissingSegment
from wal.examine import examine
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, Position, SegmentName
from wal.segment import Block, SegmentReader


def place_of(folder: LogFolder, sequence: int, limit: Position | None = None) -> Position:
    """The place of the block that holds the event of this sequence; the nearest, where there is none up to `limit`.

    Raises Broken, Unreadable, OSError.
    """
    names = folder.segments()
    earlier = [name for name in names if name.sequence <= sequence]
    reader = Reader(folder, (earlier or names)[-1 if earlier else 0].start)
    try:
        place = reader.position
        for step in read_all(reader, limit):
            if isinstance(step, Block) and step.end.sequence > sequence:
                return step.start
            place = reader.position
    finally:
        reader.close()
    return place


def block_of(folder: LogFolder, sequence: int, limit: Position) -> Block | None:
    """The block that holds the event of this sequence; None if it is not there up to `limit`, or can't be read.

    Raises Broken, Unreadable, OSError.
    """
    earlier = [name for name in folder.segments() if name.sequence <= sequence]
    if not earlier:
        return None
    reader = Reader(folder, earlier[-1].start)
    try:
        step = next((step for step in read_all(reader, limit) if step.end.sequence > sequence), None)
    finally:
        reader.close()
    return step if isinstance(step, Block) and step.start.sequence <= sequence else None


class Reader:
    """Reads block after block from `position` on, whatever segment they are in. Not for two threads at once."""

    def __init__(self, folder: LogFolder, start: Position) -> None:
        """`start` is a place between two blocks, as `oldest` or a cursor gives it."""
        self.folder = folder
        self.position = start
        self.previous: int | None = None
        """The CRC of the header before `position`; None where reading began, and behind damage."""
        self._segment: SegmentReader | None = None
        self._end: Position | None = None
        self._whole = 0

    def next(self, limit: Position | None = None) -> Block | Damage | None:
        """The next block, or the damage in its place, and go on behind it; None where there is nothing yet.

        `limit` is a place up to which all bytes are durable, and which is not passed. Without it, bytes at the end of
        the log that are no whole block count as still being written. Raises Broken, Unreadable, OSError.
        """
        while limit is None or self.position < limit:
            if self._segment is None:
                step: Block | Damage | None = self._begin()
            elif self._end is not None and self.position.offset >= self._end.offset:
                step = self._leave(self._end)
            else:
                step = self._read(self._segment, limit)
                if step is None and self._end is None:
                    return None
            if step is not None:
                return step
        return None

    def go_to(self, place: Position) -> None:
        """Read on from another place between two blocks."""
        self.close()
        self.position, self.previous, self._end = place, None, None

    def close(self) -> None:
        """Let go of the open segment."""
        if self._segment:
            self._segment.close()
            self._segment = None

    def _read(self, segment: SegmentReader, limit: Position | None) -> Block | Damage | None:
        """What stands at the position. None: either nothing yet, or `_end` is known now and it is to be tried again."""
        block, cause = self._block(segment)
        if block is not None:
            return block
        foreign = None
        if self._end is None:
            try:
                self._end = self._find_end(segment)
            except ForeignLog as fault:  # it hides nothing of this segment
                foreign = fault
            if self._end is not None:
                return None
        here = [place for place in (self._end, limit) if place and place.segment == self.position.segment]
        proven = min(here, default=None)
        damage = examine(segment, self.position, proven, cause, whole=self._whole)
        if damage is None:
            if foreign:
                raise foreign
            return self._over_gap()
        segment.forget()
        block, cause = self._block(segment)  # it may have been written since it was looked for
        if block is not None:
            return block
        self.position, self.previous = damage.end, None
        return damage

    def _block(self, segment: SegmentReader) -> tuple[Block | None, str]:
        """The whole block at the position, going behind it; or None and why there is none."""
        try:
            block = segment.block(self.position.offset)
            if block is not None:
                segment.check_follows(block.header, self.position.sequence, self.previous)
                self.position, self.previous = block.end, block.header.header_crc
                self._whole = block.end.offset
        except Broken:
            raise
        except Corrupt as fault:
            return None, fault.found
        return block, "a part of a block"

    def _find_end(self, segment: SegmentReader) -> Position | None:
        """Where this segment ends, as its successor tells; None while it has none, or that one is lost."""
        name = next((name for name in self._behind() if name.number == segment.name.number + 1), None)
        if name is None:
            return None
        successor = SegmentReader(self.folder, name)
        try:
            header = successor.header()
        except Broken:
            raise
        except Corrupt:
            is_whole = name.sequence == self.position.sequence
            return Position(segment.name.number, self.position.offset if is_whole else segment.size(), name.sequence)
        finally:
            successor.close()
        return Position(segment.name.number, header.durable, header.sequence)

    def _leave(self, end: Position) -> Damage | None:
        """Go to the next segment; what is missing up to `end` is damage."""
        if self.position.sequence < end.sequence:
            damage = Damage(Kind.CORRUPT, self.position, end, "the end of the segment")
            self.position, self.previous = end, None
            return damage
        name = self._successor()
        if name is None:
            raise self._missing(self.position.segment + 1)
        self.close()
        self.position = name.start
        return self._enter(name)

    def _over_gap(self) -> Damage | None:
        """Go behind segments whose loss is on the account; None where there is no such gap."""
        name = self._successor()
        if name is None or name.number == self.position.segment + 1:  # it may have come since `_find_end` looked
            return None
        damage = Damage(
            Kind.MISSING, Position(self.position.segment + 1, 0, self.position.sequence), name.start, "no such file"
        )
        self.go_to(damage.end)
        return damage

    def _enter(self, name: SegmentName) -> Damage | None:
        """Open a segment, and check its header if this is its beginning."""
        self._segment = SegmentReader(self.folder, name)
        self._end = None
        self._whole = self.position.offset
        if self.position.offset != HEADER_BYTES:
            return None
        try:
            header = self._segment.header()
            self._segment.check_follows(header, self.position.sequence, self.previous)
            self.previous = header.header_crc
        except Broken:
            raise
        except Corrupt as fault:
            self.previous = None
            self._whole = 0
            return Damage(Kind.CORRUPT, self.position._replace(offset=0), self.position, fault.found)
        return None

    def _behind(self) -> list[SegmentName]:
        return [name for name in self.folder.segments() if name.number > self.position.segment]

    def _successor(self) -> SegmentName | None:
        """The next segment there is; a gap in the numbers is passed only where it is on the account of damage."""
        number, behind = self.position.segment, self._behind()
        if not behind:
            return None
        gap = range(number + 1, behind[0].number)
        if gap and not set(gap) <= read_ledger(self.folder).missing_segments:
            raise self._missing(number + 1)
        return behind[0]

    def _begin(self) -> Damage | None:
        """Open the segment of the position, or, where its absence is on the account, the next one."""
        behind = [name for name in self.folder.segments() if name.number >= self.position.segment]
        if behind and behind[0].number == self.position.segment:
            return self._enter(behind[0])
        if not behind or self.position.segment not in read_ledger(self.folder).missing_segments:
            raise self._missing(self.position.segment)
        damage = Damage(Kind.MISSING, self.position, behind[0].start, "no such file")
        self.position = damage.end
        return damage

    def _missing(self, number: int) -> MissingSegment:
        return MissingSegment(self.folder.path, 0, f"segment {number}", "no such file; restore it, or see `wal repair`")


def read_all(reader: Reader, limit: Position | None = None) -> Iterator[Block | Damage]:
    """Everything that there is now."""
    while (step := reader.next(limit)) is not None:
        yield step
