"""The life of a log on a simulated disk, crash after crash, and the oracle that knows what it must hold.

A `History` does what a collector does with its log (commit, idle, ship, drop, start again) and holds every start to the
invariants I1 to I16 of the log. How cases are chosen is not its affair, nor how a disk is damaged.
"""

import errno
import json
from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import NamedTuple

import wal.damage
from tests.crash.consumer import Consumer
from tests.crash.simulated_disk import PowerCut, SimulatedFiles
from tests.crash.simulated_storage import BOUNDLESS
from tests.crash.violation import require
from wal.damage import FILE_NAME, Damage
from wal.errors import Corrupt, LogClosed, LogFull, LogPoisoned, Unreadable, WalError
from wal.files import read_file
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, Position
from wal.log import Log
from wal.page_cache import evict_from_page_cache
from wal.reader import Reader, read_all
from wal.room import Shortage
from wal.sealed import drop_segments
from wal.segment import Block

DIRECTORY = "/data/log/00"
_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE)
_SYNCS = ("sync", "sync_all", "sync_directory")
_TEXT = ('abc 0000 \\n {}[],: \\u20ac \x7f ["EVB1","0123456789abcdef",         1,         148, ' * 80)[:4096]


class Events(NamedTuple):
    """The events of one block, and where it stands. `records` is 0 for an idle block."""

    start: Position
    end: Position
    records: int
    payload: bytes


class Outcome(NamedTuple):
    """What a start made of a disk. Two starts on one image must agree in it."""

    steps: list[tuple[int, int, bytes | None]]
    account: list[tuple[int, int, int, int]]
    sequence: int


class History:
    """A log through its starts and crashes. What a collector does may raise PowerCut, LogPoisoned and OSError."""

    def __init__(self, random: Random, files: SimulatedFiles, tally: Counter[str]) -> None:
        self.random = random
        self.files = files
        self.tally = tally
        self.log: Log | None = None
        self.blocks: dict[int, Events] = {}
        """What must be there, by its first sequence: acknowledged, or found by a start."""
        self.idle: list[Events] = []
        self.in_flight: tuple[int, bytes] | None = None
        self.hit: set[int] = set()
        """First sequences of the blocks that media damage has changed since the last start."""
        self.shifted: set[int] = set()
        """Segments whose bytes media damage has moved."""
        self.is_damaged = False
        """Media damage was done at some time."""
        self.is_unseen = False
        """Media damage was done, and no start has seen it yet."""
        self.is_at_rest = False
        """No process has the disk, and all that is on it is durable."""
        self.consumers = [Consumer("ship", has_intents=True), Consumer("slow", has_intents=False)]
        self._segment_bytes = random.choice((1, 600, 3000, 20_000))
        self._min_free_bytes = random.choice((0, 5000))
        self._clock_ms = 1_700_000_000_000
        self._stepped_ms = 0
        """By how much somebody has set the wall clock forward."""
        self._submitted = 0
        self._is_sealed = False
        self._names: dict[tuple[bytes, int, int], Block] = {}
        self._written: dict[str, bytearray] = {}
        files.on_write = self._check_is_new

    @property
    def running(self) -> Log:
        """The log; it must be open."""
        assert self.log
        return self.log

    def start(self) -> None:
        """Open the log and check what it found."""
        self.is_at_rest = False
        self.log = self._opened(self.files)
        disk = self.files.disk
        planned = self.files.faults, disk.capacity, disk.inodes, self.files.short_writes
        self.heal()
        self._check_start(self.log)
        self.files.faults, disk.capacity, disk.inodes, self.files.short_writes = planned

    def commit(self) -> None:
        """Commit a block of random events. If there is no room for it, there is once room is made (I11)."""
        payload, records = self._payload()
        try:
            self._commit(payload, records)
        except LogFull:
            self.in_flight = None
            self.heal()
            self._clock_ms += 200  # how often the log looks for room
            self._commit(payload, records)

    def pause(self) -> None:
        """Let time pass, and do what the committer does then."""
        start = self.running.end
        self._clock_ms += self.random.choice((100, 100, 30_000, 70_000))
        self._stepped_ms = self.random.choice((0, 0, 0, -3_600_000, 3_600_000))
        try:
            self.running.mark_idle()
        except LogFull:
            self.heal()
            return
        self._note_idle(start)

    def ship(self) -> None:
        """Let a consumer deliver a part of what is durable."""
        consumer = self.random.choice(self.consumers)
        try:
            consumer.ship(self.running, self._check_may_be_delivered, most=self.random.choice((1, 3, None)))
            evict_from_page_cache(self.running.folder, Position(0, 0, 0), self.running.end)
        except (OSError, Unreadable):
            self.heal()

    def drop(self) -> None:
        """Unlink what retention lets go: the oldest, and nothing that a consumer still needs (I9)."""
        before = LogFolder(self.files, DIRECTORY).segments()
        expected = [consumer.name for consumer in self.consumers]
        keep, files = self.random.choice((0, 1000, 10_000)), self.random.choice((0, 0, 2))
        keep_ms = self.random.choice((0, 1 << 50))
        try:
            drop_segments(
                self.running.folder,
                expected=expected,
                keep_ms=keep_ms,
                keep_bytes=keep,
                shortage=Shortage(files=files),
            )
        except (OSError, Unreadable):
            self.heal()
        except Corrupt:
            require(self.is_damaged, "retention reads what a crash left")
        left = LogFolder(self.files, DIRECTORY).segments()
        require(left == before[len(before) - len(left) :], "I9 the oldest segments go first", before, left)

    def stop(self) -> None:
        """End cleanly."""
        log, start = self.running, self.running.end
        try:
            log.seal()
        except LogFull:
            return
        self._note_idle(start)
        log.close()
        self._is_sealed = not self.files.fired

    def finish(self) -> None:
        """Deliver everything, and see that it is all there (I15)."""
        for consumer in self.consumers:
            consumer.ship(self.running, self._check_may_be_delivered, most=None)
            for events in self.blocks.values():
                consumer.check_has(events.start.sequence, events.payload)
        tally = self.tally
        tally["recovered"] += sum(events.records for events in self.blocks.values())
        tally["cases"] += 1
        survived = tally["recovered"] + tally["reported lost"]
        require(tally["acknowledged"] + tally["found in flight"] == survived, "every event is accounted for", tally)

    def heal(self) -> None:
        """Let there be no more faults, and room on the disk."""
        self.files.faults = []
        self.files.short_writes = 0.0
        self.files.disk.capacity = self.files.disk.inodes = BOUNDLESS

    def crash(self) -> None:
        """Go on with what a loss of power leaves."""
        self._end()
        self.files = self.files.crash(self.random)
        self.is_at_rest = True
        if not self.is_damaged and self.random.random() < 0.2:
            self.check_a_reader_finds_no_damage()
        for consumer in self.consumers:
            consumer.check_place(self.files, DIRECTORY)

    def kill(self) -> None:
        """Go on with the next process on the same disk."""
        is_recovered = self.log is not None
        self._end()
        self.files = self.files.kill()
        self.is_at_rest = False
        if is_recovered and not self.is_damaged and self.random.random() < 0.2:
            self.check_prefixes_are_json()

    def check_poison(self) -> None:
        """I11, I12, I8: only a failed sync or a failing disk poisons, and then nothing more is acknowledged or read."""
        log, last = self.running, self.files.fired[-1] if self.files.fired else None
        require(last is not None and (last.call in _SYNCS or last.error not in _PASSING), "I11 poisoned by", last)
        self.heal()
        end = log.end
        try:
            log.commit(b"{}\n", 1)
            require(False, "I12 a commit behind a failed sync")
        except (LogPoisoned, LogClosed):
            require(log.end == end, "I12 the durable place stays")
        self.read(self.files, log)

    def check_a_reader_finds_no_damage(self) -> None:
        """I6 before any recovery: what looks into the log beside a writer, or behind a crash, calls nothing damaged."""
        start = LogFolder(self.files, DIRECTORY).oldest()
        if start:
            reader = Reader(LogFolder(self.files, DIRECTORY), start)
            steps = list(read_all(reader))
            reader.close()
            require(all(isinstance(step, Block) for step in steps), "I6 no crash is called damage", steps)

    def check_recovery_is_idempotent(self, crash_at: int | None = None) -> bool:
        """I4: a start that crashes at any of its calls, else at this one, is made good by the next one.

        Call it behind `crash`. Returns whether the start crashed.
        """
        straight, crashed = self.clone(), self.clone()
        expected = self.outcome(straight)
        crashed.crash_at = crash_at or self.random.randint(1, max(1, straight.calls))
        if expected is None or self.outcome(crashed) is not None:
            return False
        self.tally["crashes"] += 1
        again = self.outcome(crashed.crash(self.random))
        require(again == expected, "I4 the next start finds the same:", again, expected)
        return True

    def check_prefixes_are_json(self) -> None:
        """I13, on every segment as processes see it."""
        for name in LogFolder(self.files, DIRECTORY).segments():
            content = bytes(self.files.file(f"{DIRECTORY}/{name}").content)
            for line in content[: content.rfind(b"\n") + 1].split(b"\n")[:-1]:
                try:
                    json.loads(line)
                except ValueError as error:
                    require(False, "I13 a line is no JSON:", name, line, error)

    def outcome(self, files: SimulatedFiles) -> Outcome | None:
        """What a start makes of a disk; None if it crashes, or leaves the decision to a person."""
        try:
            log = self._opened(files)
            steps = self.read(files, log)
        except (PowerCut, WalError):
            return None
        found = [(step.start.sequence, step.end.sequence, getattr(step, "payload", None)) for step in steps]
        return Outcome([each for each in found if each[0] < each[1]], _account(files), log.end.sequence)

    def read(self, files: SimulatedFiles, log: Log) -> list[Block | Damage]:
        """All that is in the log, each step beginning where the one before ended (I3), none beyond the end (I8)."""
        start = LogFolder(files, DIRECTORY).oldest()
        assert start
        reader = Reader(LogFolder(files, DIRECTORY), start)
        steps = list(read_all(reader, log.end))
        reader.close()
        sequence = start.sequence
        for step in steps:
            require(step.start.sequence == sequence, "I3 in order, without a gap", step.start, sequence)
            require(step.end <= log.end, "I8 it is durable", step.end, log.end)
            sequence = step.end.sequence
        require(sequence == log.end.sequence, "I3 up to the end", sequence, log.end)
        return steps

    def _opened(self, files: SimulatedFiles) -> Log:
        return Log(
            DIRECTORY,
            segment_bytes=self._segment_bytes,
            min_free_bytes=self._min_free_bytes,
            files=files,
            clock=lambda: self._clock_ms + self._stepped_ms,
            monotonic=lambda: self._clock_ms,
        )

    def _payload(self) -> tuple[bytes, int]:
        random = self.random
        self._submitted += 1
        records = random.choice((1, 1, 2, 3, random.randint(4, 40)))
        if random.random() < 0.1:
            return b"{}\n" * records, records
        first = random.randrange(1000)
        text = json.dumps(_TEXT[first : first + random.choice((0, 20, 300, random.randint(0, 3000 // records)))])
        line = b'{"n":%d,"i":%%d,"p":%b}\n' % (self._submitted, text.encode())
        return b"".join(line % i for i in range(records)), records

    def _commit(self, payload: bytes, records: int) -> None:
        log = self.running
        self.in_flight = (log.end.sequence, payload)
        log.commit(payload, records)
        self.in_flight = None
        end = log.end
        start = Position(end.segment, end.offset - HEADER_BYTES - len(payload), end.sequence - records)
        self.blocks[start.sequence] = Events(start, end, records, payload)
        self.tally["acknowledged"] += records

    def _note_idle(self, start: Position) -> None:
        end = self.running.end
        if end.segment == start.segment and end.offset > start.offset:
            self.idle.append(Events(start, end, 0, b""))

    def _end(self) -> None:
        self.heal()
        self.tally["crashes"] += 1
        self.tally["faults injected"] += len(self.files.fired)
        self.log = None

    def _check_start(self, log: Log) -> None:
        steps = self.read(self.files, log)
        found = [step for step in steps if isinstance(step, Block)]
        damages = [step for step in steps if isinstance(step, Damage)]
        if not self.is_damaged:
            require(not damages and not log.damages, "I6 no crash is called damage", log.damages, damages)
        if self._is_sealed and not self.is_damaged:
            require(log.torn is None, "a clean stop leaves nothing torn", log.torn)
        self._is_sealed = False
        for damage in damages:
            wal.damage.append(LogFolder(self.files, DIRECTORY), damage)
        self._check_found(found)
        self._check_missing({block.header.sequence for block in found if block.header.records}, log)
        self.idle = [Events(block.start, block.end, 0, b"") for block in found if not block.header.records]
        self.in_flight = None
        self.hit = set()
        self.is_unseen = False

    def _check_found(self, found: Iterable[Block]) -> None:
        """I2, I3, I7: what is there was submitted, and each name is that of one block for ever."""
        for block in found:
            header = block.header
            name = (header.log_id, header.segment, header.offset)
            require(self._names.setdefault(name, block) == block, "I7 one name, one block", name)
            if not header.records:
                continue
            known = self.blocks.get(header.sequence)
            if known is None:
                require((header.sequence, block.payload) == self.in_flight, "I2 only what was in flight", header)
                self.in_flight = None
                self.blocks[header.sequence] = Events(block.start, block.end, header.records, block.payload)
                self.tally["found in flight"] += header.records
            else:
                same = (known.start, known.payload) == (block.start, block.payload)
                require(same, "I1 the block that was acknowledged", known, block)

    def _check_missing(self, there: set[int], log: Log) -> None:
        """I1, I5: what is not there was damaged and is in the ledger; what is there is not in it."""
        start = LogFolder(self.files, DIRECTORY).oldest()
        assert start
        lost = {number for _, _, low, high in _account(self.files) for number in range(low, high)}
        for sequence, events in list(self.blocks.items()):
            numbers = range(sequence, events.end.sequence)
            if sequence < start.sequence:
                self._check_was_delivered(self.blocks.pop(sequence))
            elif sequence in there:
                require(lost.isdisjoint(numbers), "I5 what is there is not reported lost", events.start)
            else:
                if not lost.issuperset(numbers):
                    self.tally["lost without report"] += events.records
                require(lost.issuperset(numbers), "I1 it is there, or reported lost", events.start, events.end)
                require(sequence in self.hit, "I5 only what was damaged is lost", events.start, events.end)
                self.tally["reported lost"] += self.blocks.pop(sequence).records

    def _check_may_be_delivered(self, block: Block) -> None:
        known = self.blocks.get(block.header.sequence)
        require(known is not None and known.payload == block.payload, "I8 I14 it is durable, and whole", block)

    def _check_was_delivered(self, events: Events) -> None:
        """I9: its segment is gone."""
        for consumer in self.consumers:
            consumer.check_has(events.start.sequence, events.payload)
        self.tally["recovered"] += events.records

    def clone(self) -> SimulatedFiles:
        """A copy of the disk, if it is at rest."""
        files = self.files.crash(self.random)
        files.on_write = lambda name, offset, data: None
        return files

    def _check_is_new(self, name: str, offset: int, data: bytes) -> None:
        """I7, at the write: no byte of a segment behind its header is ever written again with another value."""
        if not name.startswith("seg-") or not name.endswith(".tmp") or self.is_damaged:
            return
        written = self._written.setdefault(name, bytearray())
        first = max(offset, HEADER_BYTES)
        known = written[first : offset + len(data)]
        require(data[first - offset :].startswith(bytes(known)), "I7 bytes are written once", name, offset)
        written[offset : offset + len(data)] = data


def _account(files: SimulatedFiles) -> list[tuple[int, int, int, int]]:
    """Segment, offset, first sequence lost and the one behind the last, of each line in damage.ndjson."""
    try:
        lines = [json.loads(line) for line in read_file(files, f"{DIRECTORY}/{FILE_NAME}").splitlines()]
    except FileNotFoundError:
        return []
    return [(line["seg"], line["from"]["off"], line["from"]["seq"], line["to"]["seq"]) for line in lines]
