"""A log that is open for writing: the one holder of the active segment. Synchronous; one thread at a time.

A commit is one block: reserve, write, fdatasync. Only then does `end`, the durable place, move.
"""

import contextlib
import errno
import time
from collections.abc import Callable
from typing import Final

from wal.damage import Damage
from wal.errors import PASSING, LogClosed, LogFull, LogPoisoned, WalError, cause_of
from wal.files import Files, opened
from wal.folder import LogFolder
from wal.format import MAX_BLOCK_BYTES, Position, SegmentName
from wal.identity import ensure_log_id
from wal.recovery import TornTail, recover
from wal.room_watch import RoomWatch
from wal.segment_writer import SegmentWriter

SEGMENT_BYTES: Final = 64 << 20
SEGMENT_SECONDS: Final = 60


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Milliseconds of a clock that cannot be set."""
    return time.monotonic_ns() // 1_000_000


class Log:
    """The writer of one log directory. A failed fsync poisons it for good; a full disk does not."""

    # of the active segment, so `_create` sets them
    _opened_ms: int
    _is_abandoned: bool
    """Whether the active segment may end in a part of a block, so that the next commit needs a new one."""
    _is_idle: bool
    """Whether nothing was committed since the last idle block."""

    def __init__(
        self,
        directory: str,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: float = SEGMENT_SECONDS,
        warn_free_bytes: int = 0,
        min_free_bytes: int = 0,
        files: Files | None = None,
        clock: Callable[[], int] = now_ms,
        monotonic: Callable[[], int] = monotonic_ms,
    ) -> None:
        """Lock the directory, recover the log in it, and open a new segment.

        Below `warn_free_bytes` of free disk there is a warning; below `min_free_bytes` commits are refused, so that
        cursors and the deletion of segments always have room. Inodes have a reserve likewise. `clock` returns the Unix
        ms that blocks carry. `monotonic` returns the ms by which segments age. Raises LogLocked, Corrupt, Unreadable,
        OSError; another attempt may succeed after one of `errors.PASSING`.
        """
        self._segment_bytes = segment_bytes
        self._segment_ms = int(segment_seconds * 1000)
        self._clock = clock
        self._monotonic = monotonic
        self._fault: WalError | None = None
        self.sync_seconds = 0.0
        """How long the fdatasync of the last commit took."""
        folder = LogFolder(files or Files(), directory)
        folder.files.make_directory(directory)
        self._lock: int | None = folder.lock()
        try:
            self.folder = folder = LogFolder(folder.files, directory, ensure_log_id(folder))
            self.log_id = folder.log_id
            self.room = RoomWatch(
                folder, warn_free_bytes=warn_free_bytes, min_free_bytes=min_free_bytes, monotonic=monotonic
            )
            found = recover(folder)
            self.torn: TornTail | None = found.torn
            self.damages: list[Damage] = found.damages
            self._segment = self._create(found.segment, found.sequence, found.predecessor_end, found.previous)
        except BaseException:
            folder.files.close(self._lock)
            raise

    @property
    def end(self) -> Position:
        """The durable place: every event before it survives a crash. The next event gets its sequence."""
        return self._segment.end

    def commit(self, payload: bytes, records: int) -> None:
        """Write `records` JSON lines, each ending in LF, as one durable block. The caller has counted them.

        Raises LogFull (nothing was kept, and a later commit may succeed), LogPoisoned, LogClosed.
        """
        self._check_is_open()
        if len(payload) > MAX_BLOCK_BYTES:
            raise ValueError(f"{len(payload)} bytes in a block, the limit is {MAX_BLOCK_BYTES}")
        if records:
            self.room.check()
        if self._is_abandoned or self._is_due():
            self._rotate()
        try:
            self._segment.reserve(len(payload))
        except OSError as error:
            # A file at its size limit needs a successor. A failing disk shows at the sync that begins the rotation.
            self._is_abandoned = error.errno not in (errno.ENOSPC, errno.EDQUOT)
            raise self.room.log_full(error) from error
        try:
            self._segment.write(payload, records, self._clock())
        except OSError as error:
            self._is_abandoned = True
            raise self.room.log_full(error) from error
        begun = time.perf_counter()
        try:
            self._segment.sync()
        except OSError as error:
            raise self._poison(error) from error
        self.sync_seconds = time.perf_counter() - begun
        self._is_idle = records == 0

    def mark_idle(self) -> None:
        """After a pause, write an idle block, whose `durable` proves the last event fsynced, and rotate by age.

        Looks at the room on the disk too, because clients stop sending to a log that is known to be full.
        """
        self._check_is_open()
        if not self._is_idle:
            self.commit(b"", 0)
        if self._is_due():
            self._rotate()
        self.look()

    def look(self) -> None:
        """Have `room` ask the disk, unless it has just done so. If the disk does not answer, `room` knows that."""
        with contextlib.suppress(LogFull):
            self.room.look()

    @property
    def rotates_in(self) -> float | None:
        """Seconds until the active segment is due by its age; None while it holds no event."""
        if self._segment.sequence == self._segment.name.sequence:
            return None
        return max(0, self._opened_ms + self._segment_ms - self._monotonic()) / 1000

    def seal(self) -> None:
        """Refuse further commits, and prove the last one durable. The directory stays locked. Idempotent.

        Raises LogFull if the idle block that proves the last commit durable does not fit, and LogPoisoned if an fsync
        fails. What was committed is safe all the same.
        """
        if self._fault is not None:
            return
        try:
            if not self._is_abandoned:
                self.mark_idle()
                self._seal_segment()
        finally:
            self._fault = LogClosed(f"{self.folder.path}: the log is closed")

    def close(self) -> None:
        """Seal, and unlock the directory. Readers and owners of cursors must be done by then. Idempotent."""
        try:
            self.seal()
        finally:
            if self._lock is not None:
                self._segment.close()
                self.folder.files.close(self._lock)
                self._lock = None

    def _check_is_open(self) -> None:
        if self._fault is not None:
            raise self._fault.anew()

    def _is_due(self) -> bool:
        segment = self._segment
        if segment.sequence == segment.name.sequence:
            return False
        return segment.offset >= self._segment_bytes or self._monotonic() - self._opened_ms >= self._segment_ms

    def _rotate(self) -> None:
        old = self._segment
        self._seal_segment()
        try:
            self._segment = self._create(old.name.number + 1, old.sequence, old.offset, old.previous)
        except OSError as error:
            if error.errno in PASSING:
                raise self.room.log_full(error) from error
            raise self._poison(error, "a new segment could not be made") from error
        old.close()

    def _seal_segment(self) -> None:
        try:
            self._segment.seal()
        except OSError as error:
            raise self._poison(error) from error

    def _create(self, number: int, sequence: int, predecessor_end: int, previous: int) -> SegmentWriter:
        """A new segment, durable. Raises OSError if there is none, and LogPoisoned if that is unknown."""
        with opened(self.folder.files, self.folder.files.open_directory(self.folder.path)) as directory:
            segment = SegmentWriter(
                self.folder,
                SegmentName(number, sequence),
                predecessor_end=predecessor_end,
                previous=previous,
                timestamp_ms=self._clock(),
            )
            try:
                self.folder.files.sync_names(directory)
            except OSError as error:
                raise self._poison(error) from error
        self._opened_ms = self._monotonic()
        self._is_abandoned = False
        self._is_idle = True
        return segment

    def _poison(self, error: OSError, event: str = "fsync failed") -> LogPoisoned:
        self._fault = LogPoisoned(
            f"{self.folder.path}: {event} ({cause_of(error)}); what the disk holds is unknown, restart to recover"
        )
        return self._fault.anew()
