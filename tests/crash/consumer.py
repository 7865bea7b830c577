"""A consumer of a log in the simulated crashes: it ships as the collector does, into a sink that takes a token once."""

from collections.abc import Callable

import wal.damage
from tests.crash.simulated_disk import SimulatedFiles
from tests.crash.violation import require
from wal.cursor import Cursor, Intent
from wal.damage import Damage
from wal.errors import Corrupt
from wal.folder import LogFolder
from wal.format import Position
from wal.log import Log
from wal.reader import Reader
from wal.segment import Block


class Consumer:
    """One cursor and one sink. With intents every event is in the sink exactly once (I15), else at least once."""

    def __init__(self, name: str, *, has_intents: bool) -> None:
        self.name = name
        self.places: list[Cursor | None] = [None]
        """The cursor that is durable, and those after it that may be."""
        self._has_intents = has_intents
        self._tokens: dict[str, dict[int, bytes]] = {}
        self._owner: dict[int, str] = {}
        self._delivered: dict[int, bytes] = {}

    def ship(self, log: Log, check: Callable[[Block], None], *, most: int | None) -> None:
        """Deliver what is durable, at most so many blocks, each of which `check` must let pass. Raises OSError."""
        cursor = self._load(log)
        if cursor.intent:
            blocks = self._blocks(log, cursor.intent.first, cursor.intent.last, None)
            cursor = self._deliver(log, cursor.acked, blocks, cursor.intent)
        blocks = self._blocks(log, cursor.acked, log.end, most)
        for block in blocks:
            check(block)
        if blocks:
            first, last = blocks[0].start, blocks[-1].end
            self._deliver(log, cursor.acked, blocks, Intent(first, last, f"{first.sequence}-{last.sequence}"))

    def check_has(self, sequence: int, payload: bytes) -> None:
        """The block that begins at `sequence` was delivered, byte for byte (I14)."""
        require(self._delivered.get(sequence) == payload, "I15 the sink has the block", self.name, sequence)

    def check_place(self, files: SimulatedFiles, directory: str) -> None:
        """Behind a crash: the cursor is the last whose saving returned, or one whose saving was under way."""
        try:
            place = LogFolder(files, directory).cursor(self.name)
        except FileNotFoundError:
            place = None
        except Corrupt:
            return
        require(place in self.places, "a cursor that was saved is there", self.name, place, self.places)
        self.places = [place]

    def _load(self, log: Log) -> Cursor:
        log.folder.files.make_directory(
            f"{log.folder.path}/cursors"
        )  # who made it may have ended before it was durable
        try:
            cursor = log.folder.cursor(self.name)
        except Corrupt:  # an operator removes it, and all is delivered again
            log.folder.files.unlink(f"{log.folder.path}/cursors/{self.name}.json")
            self._tokens.clear()
            self._owner.clear()
            self.places.append(None)
            cursor = None
        return cursor or Cursor(log.folder.oldest() or log.end)

    def _blocks(self, log: Log, start: Position, limit: Position, most: int | None) -> list[Block]:
        """Blocks with events from `start` on; damage among them is appended to the ledger."""
        reader = Reader(log.folder, start)
        blocks: list[Block] = []
        try:
            while (most is None or len(blocks) < most) and (step := reader.next(limit)) is not None:
                require(isinstance(step, Damage) or step.end <= limit, "I8 none beyond the limit", step, limit)
                if isinstance(step, Damage):
                    wal.damage.append(log.folder, step)
                elif step.header.records:
                    blocks.append(step)
        finally:
            reader.close()
        return blocks

    def _deliver(self, log: Log, acked: Position, blocks: list[Block], intent: Intent) -> Cursor:
        if self._has_intents:
            self._save(log, Cursor(acked, intent))
            self._take(intent.token, {block.header.sequence: block.payload for block in blocks})
        self._delivered.update((block.header.sequence, block.payload) for block in blocks)
        delivered = Cursor(intent.last)
        self._save(log, delivered)
        return delivered

    def _take(self, token: str, batch: dict[int, bytes]) -> None:
        """What an idempotent sink does: a token that it has is passed over. Damage may have taken a part since."""
        taken = self._tokens.setdefault(token, batch)
        require(batch.items() <= taken.items(), "I15 the same bytes under the same token", token)
        for sequence in batch:
            owner = self._owner.setdefault(sequence, token)
            require(owner == token, "I15 an event is delivered once", sequence, owner, token)

    def _save(self, log: Log, cursor: Cursor) -> None:
        self.places.append(cursor)
        log.folder.save_cursor(self.name, cursor)
        self.places = [cursor]
