"""A log that is open for writing: the one holder of the active segment. Synchronous; one thread at a time.

A commit is one block: reserve, write, fdatasync. Only then does `end`, the durable place, move.
"""

import contextlib
import errno
import logging
import time
from collections.abc import Callable
from typing import Final

from wal.damage import Damage
from wal.errors import PASSING, LogClosed, LogFull, LogPoisoned, WalError, advice_on, cause_of
from wal.files import Files, opened_directory
from wal.folder import LogFolder
from wal.format import MAX_BLOCK_BYTES, Position, SegmentName
from wal.identity import ensure_log_id
from wal.recovery import TornTail, recover
from wal.room import Shortage, pressure, refusal, shortage_of, warning
from wal.segment_writer import SegmentWriter

SEGMENT_BYTES: Final = 64 << 20
SEGMENT_SECONDS: Final = 60
_ROOM_CHECK_MS: Final = 200

logger = logging.getLogger(__name__)


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Milliseconds of a clock that nobody can set."""
    return time.monotonic_ns() // 1_000_000


class Log:
    """The writer of one log directory. A failed fsync poisons it for good; a full disk does not."""

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
        """Lock the directory, recover what is there and open a new segment.

        Below `warn_free_bytes` on the disk there is a warning, below `min_free_bytes` no commit, so that cursors and
        the deletion of segments always have room; inodes have a reserve likewise. `clock` gives the Unix ms that blocks
        carry, `monotonic` the ms by which segments age: nobody can set it. Raises LogLocked, Corrupt,
        Unreadable, OSError; one of `errors.PASSING` is worth another attempt.
        """
        self.folder = LogFolder(files or Files(), directory)
        self._segment_bytes = segment_bytes
        self._segment_ms = int(segment_seconds * 1000)
        self._warn_free_bytes = warn_free_bytes
        self._min_free_bytes = min_free_bytes
        self.fullness = 0.0
        """The bytes or inodes that must stay free, as a share of those that are: above 1 commits are refused."""
        self._no_room: str | None = None
        self._is_short = False
        self._was_refused = False
        self._is_warned = False
        self._room_checked_ms: int | None = None
        self._clock = clock
        self._monotonic = monotonic
        self._opened_ms = monotonic()
        self._fault: WalError | None = None
        self._is_abandoned = False
        self._is_idle = True
        self.folder.files.make_directory(directory)
        self._lock: int | None = self.folder.lock()
        try:
            self.log_id = ensure_log_id(self.folder)
            self.folder = LogFolder(self.folder.files, directory, self.log_id)
            recovered = recover(self.folder)
            self.torn: TornTail | None = recovered.torn
            self.damages: list[Damage] = recovered.damages
            self._segment = self._create(
                recovered.segment, recovered.sequence, recovered.predecessor_end, recovered.previous
            )
        except BaseException:
            self._unlock()
            raise

    @property
    def end(self) -> Position:
        """The durable place: every event before it survives a crash, and the next one gets its sequence."""
        return self._segment.end

    def commit(self, payload: bytes, records: int) -> None:
        """Write `records` JSON lines, each ending in LF, as one durable block. The caller has counted them.

        Raises LogFull (nothing is kept, and a later commit may succeed), LogPoisoned, LogClosed.
        """
        self._check_is_open()
        if len(payload) > MAX_BLOCK_BYTES:
            raise ValueError(f"{len(payload)} bytes in a block, the limit is {MAX_BLOCK_BYTES}")
        if records:
            self._check_room()
        if self._is_abandoned or self._is_due():
            self._rotate()
        try:
            self._segment.reserve(len(payload))
        except OSError as error:
            # A file at its limit is left for another, and a disk that fails shows at the sync that begins a rotation.
            self._is_abandoned = error.errno not in (errno.ENOSPC, errno.EDQUOT)
            raise self._refusal(error) from error
        try:
            self._segment.write(payload, records, self._clock())
        except OSError as error:
            self._is_abandoned = True
            raise self._refusal(error) from error
        try:
            self._segment.sync()
        except OSError as error:
            raise self._poison(error) from error
        self._is_idle = records == 0

    def mark_idle(self) -> None:
        """After a pause: write an empty block, whose `durable` proves the last event fsynced, and rotate by age.

        Looks for room too, since nobody commits to a log that is known to be full.
        """
        self._check_is_open()
        if not self._is_idle:
            self.commit(b"", 0)
        if self._is_due():
            self._rotate()
        with contextlib.suppress(LogFull):
            self._look_for_room()

    @property
    def rotates_in(self) -> float | None:
        """Seconds until the active segment is due by its age; None while it holds no event."""
        if self._segment.sequence == self._segment.name.sequence:
            return None
        return max(0, self._opened_ms + self._segment_ms - self._monotonic()) / 1000

    @property
    def is_short(self) -> bool:
        """Whether delivered segments should be given up now, which `shortage` tells how many. Costs nothing to ask."""
        return self._is_short or self._was_refused

    def shortage(self) -> Shortage:
        """What has to become free. Asks the disk; for any thread, and one at a time. Raises OSError.

        A refusal for want of room that the disk's own numbers do not show (a quota) counts once, as a shortage of one
        segment: it may have ended since, and only the next commit can tell.
        """
        found = shortage_of(self.folder.room(), self._min_free_bytes)
        self._is_short = any(found)
        was_refused, self._was_refused = self._was_refused, False
        return Shortage(1, 1) if was_refused and not any(found) else found

    def seal(self) -> None:
        """Take no more commits, and prove the last one durable. The directory stays locked. Idempotent.

        Raises LogFull where there is no room for the proof, and LogPoisoned where an fsync fails; what was committed is
        safe all the same.
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
        """Seal, and let go of the directory; whoever still reads or moves a cursor must be done. Idempotent."""
        try:
            self.seal()
        finally:
            if self._lock is not None:
                self._segment.close()
            self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
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

    def _check_room(self) -> None:
        """Raise LogFull below the reserve."""
        self._look_for_room()
        if self._no_room:
            raise LogFull(f"{self.folder.path}: {self._no_room}")

    def _look_for_room(self) -> None:
        """Ask the disk, a few times a second and not at each commit. Raises LogFull where it does not answer."""
        now = self._monotonic()
        if self._room_checked_ms is not None and now - self._room_checked_ms < _ROOM_CHECK_MS:
            return
        self._room_checked_ms = now
        try:
            room = self.folder.room()
        except OSError as error:
            raise self._refusal(error) from error
        self.fullness = pressure(room, self._min_free_bytes)
        self._no_room = refusal(room, self._min_free_bytes)
        self._is_short = any(shortage_of(room, self._min_free_bytes))
        low = warning(room, self._warn_free_bytes)
        if low and not self._is_warned:
            logger.warning("%s: %s", self.folder.path, low)
        self._is_warned = low is not None

    def _rotate(self) -> None:
        old = self._segment
        self._seal_segment()
        try:
            self._segment = self._create(old.name.number + 1, old.sequence, old.offset, old.previous)
        except OSError as error:
            if error.errno in PASSING:
                raise self._refusal(error) from error
            raise self._poison(error, "a new segment could not be made") from error
        old.close()

    def _seal_segment(self) -> None:
        try:
            self._segment.seal()
        except OSError as error:
            raise self._poison(error) from error

    def _create(self, number: int, sequence: int, predecessor_end: int, previous: int) -> SegmentWriter:
        """A new segment, durable. Raises OSError where there is none, and LogPoisoned where nobody knows."""
        with opened_directory(self.folder.files, self.folder.path) as directory:
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

    def _refusal(self, error: OSError) -> WalError:
        self._was_refused = self._was_refused or error.errno in (errno.ENOSPC, errno.EDQUOT)
        return LogFull(f"{self.folder.path}: {cause_of(error)}; nothing was kept of this block, {advice_on(error)}")

    def _poison(self, error: OSError, what: str = "fsync failed") -> LogPoisoned:
        self._fault = LogPoisoned(
            f"{self.folder.path}: {what} ({cause_of(error)}); what the disk holds is unknown, restart to recover"
        )
        return self._fault.anew()
