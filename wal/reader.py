"""The one reader across segments. Recovery, the shipper, the command line and the tests use it."""

from collections.abc import Iterator
from contextlib import closing

from wal.damage import Damage, Kind, read_ledger
from wal.errors import Broken, Corrupt, ForeignLog, MissingSegment
from wal.examine import examine
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, Position, SegmentName
from wal.segment import Block, SegmentReader


def place_of(folder: LogFolder, sequence: int, limit: Position | None = None) -> Position:
    """The place of the block with the event `sequence`, or the nearest place if there is none up to `limit`.

    Raises Broken, Unreadable, OSError.
    """
    names = folder.segments()
    earlier = [name for name in names if name.sequence <= sequence]
    with closing(Reader(folder, (earlier or names)[-1 if earlier else 0].start)) as reader:
        place = reader.position
        for step in read_all(reader, limit):
            if isinstance(step, Block) and step.end.sequence > sequence:
                return step.start
            place = reader.position
    return place


def block_of(folder: LogFolder, sequence: int, limit: Position) -> Block | None:
    """The block with the event `sequence`; None if it is damaged, or not there up to `limit`.

    Raises Broken, Unreadable, OSError.
    """
    earlier = [name for name in folder.segments() if name.sequence <= sequence]
    if not earlier:
        return None
    steps = read_from(folder, earlier[-1].start, limit)
    step = next((step for step in steps if step.end.sequence > sequence), None)
    return step if isinstance(step, Block) and step.start.sequence <= sequence else None


class Reader:
    """Reads block after block from `position` on, across segments. One thread at a time."""

    def __init__(self, folder: LogFolder, start: Position) -> None:
        """`start` is a place between two blocks, from `LogFolder.oldest` or a cursor."""
        self.folder = folder
        self.position = start
        self.previous: int | None = None
        """The CRC of the header before `position`; None at the start and after damage."""
        self._segment: SegmentReader | None = None
        self._end: Position | None = None
        """Where the open segment ends, once that is known."""
        self._whole = 0
        """The offset up to which all blocks of the open segment could be read."""

    def next(self, limit: Position | None = None) -> Block | Damage | None:
        """Read the next block, or the damage in its place, and advance. Returns None if there is nothing yet.

        All bytes up to `limit` are durable; reading stops there. Without a limit, an incomplete block at the end of the
        log counts as being written. Raises Broken, Unreadable, OSError.
        """
        while limit is None or self.position < limit:
            if self._segment is None:
                step: Block | Damage | None = self._open_first()
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
        """Continue at another place between two blocks."""
        self.close()
        self.position, self.previous, self._end = place, None, None

    def close(self) -> None:
        """Close the open segment."""
        if self._segment:
            self._segment.close()
            self._segment = None

    def _read(self, segment: SegmentReader, limit: Position | None) -> Block | Damage | None:
        """The block or damage at the position. None if there is nothing yet, or if only `_end` became known."""
        block, cause = self._block(segment)
        if block is not None:
            return block
        foreign = None
        if self._end is None:
            try:
                self._end = self._find_end(segment)
            except ForeignLog as fault:  # it says nothing about this segment
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
        block, cause = self._block(segment)  # it may have been written since the first look
        if block is not None:
            return block
        self.position, self.previous = damage.end, None
        return damage

    def _block(self, segment: SegmentReader) -> tuple[Block | None, str]:
        """Read the block at the position and advance; or None and the cause, which goes to damage.ndjson."""
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
        """Where this segment ends, according to its successor; None if it has no successor, or if that is missing."""
        name = next((name for name in self._later() if name.number == segment.name.number + 1), None)
        if name is None:
            return None
        with closing(SegmentReader(self.folder, name)) as successor:
            try:
                header = successor.header()
            except Broken:
                raise
            except Corrupt:
                is_whole = name.sequence == self.position.sequence
                offset = self.position.offset if is_whole else segment.size()
                return Position(segment.name.number, offset, name.sequence)
        return Position(segment.name.number, header.durable, header.sequence)

    def _leave(self, end: Position) -> Damage | None:
        """Go to the next segment. Events that are missing up to `end` are damage."""
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
        """Skip segments that damage.ndjson has as missing; None if there is no such gap."""
        name = self._successor()
        if name is None or name.number == self.position.segment + 1:  # created since `_find_end` looked
            return None
        damage = Damage(
            Kind.MISSING, Position(self.position.segment + 1, 0, self.position.sequence), name.start, "no such file"
        )
        self.go_to(damage.end)
        return damage

    def _enter(self, name: SegmentName) -> Damage | None:
        """Open a segment. At its beginning, check its header."""
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

    def _later(self) -> list[SegmentName]:
        return [name for name in self.folder.segments() if name.number > self.position.segment]

    def _successor(self) -> SegmentName | None:
        """The next segment. A gap in the numbers is skipped only if damage.ndjson has it."""
        number, later = self.position.segment, self._later()
        if not later:
            return None
        gap = range(number + 1, later[0].number)
        if gap and not set(gap) <= read_ledger(self.folder).missing_segments:
            raise self._missing(number + 1)
        return later[0]

    def _open_first(self) -> Damage | None:
        """Open the segment of the position, or the next one if damage.ndjson has it as missing."""
        names = [name for name in self.folder.segments() if name.number >= self.position.segment]
        if names and names[0].number == self.position.segment:
            return self._enter(names[0])
        if not names or self.position.segment not in read_ledger(self.folder).missing_segments:
            raise self._missing(self.position.segment)
        damage = Damage(Kind.MISSING, self.position, names[0].start, "no such file")
        self.position = damage.end
        return damage

    def _missing(self, number: int) -> MissingSegment:
        return MissingSegment(self.folder.path, 0, f"segment {number}", "no such file; restore it, or run `wal repair`")


def read_from(folder: LogFolder, start: Position, limit: Position | None = None) -> Iterator[Block | Damage]:
    """Everything from `start` up to `limit`, or to the end as it is now. Raises Broken, Unreadable, OSError."""
    with closing(Reader(folder, start)) as reader:
        yield from read_all(reader, limit)


def read_all(reader: Reader, limit: Position | None = None) -> Iterator[Block | Damage]:
    """Everything up to `limit`, or to the end as it is now."""
    while (step := reader.next(limit)) is not None:
        yield step
