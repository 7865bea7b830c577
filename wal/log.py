"""A log that is open for writing: the one holder of the active segment. Synchronous; one thread at a time.

A commit is one block: reserve, write, fdatasync. Only then does `end`, the durable place, move.
"""

import contextlib
import errno
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Final

from wal.damage import Damage
from wal.errors import LogClosed, LogFull, LogPoisoned, WalError
from wal.files import Files
from wal.format import MAX_BLOCK_BYTES, Position
from wal.identity import ensure_log_id
from wal.recovery import TornTail, recover
from wal.segment import SegmentName, SegmentWriter

SEGMENT_BYTES: Final = 64 << 20
SEGMENT_SECONDS: Final = 60
_ROOM_CHECK_MS: Final = 200
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors that end once somebody makes room."""

logger = logging.getLogger(__name__)


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


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
    ) -> None:
        """Lock the directory, recover what is there and open a new segment.

        Below `warn_free_bytes` on the disk there is a warning, below `min_free_bytes` no commit, so that cursors and
        the deletion of segments always have room. Raises LogLocked, Corrupt, Unreadable, OSError.
        """
        self.directory = directory
        self.files = files or Files()
        self._segment_bytes = segment_bytes
        self._segment_ms = int(segment_seconds * 1000)
        self._warn_free_bytes = warn_free_bytes
        self._min_free_bytes = min_free_bytes
        self._free_bytes = sys.maxsize
        self.fullness = 0.0
        """The bytes that must stay free, as a share of those that are: 1 is where commits are refused."""
        self._is_warned = False
        self._room_checked_ms = 0
        self._clock = clock
        self._fault: WalError | None = None
        self._is_abandoned = False
        self._is_idle = True
        self.files.make_directory(directory)
        self._lock: int | None = self.files.lock(os.path.join(directory, "LOCK"))
        try:
            self.log_id = ensure_log_id(self.files, directory)
            recovered = recover(self.files, directory, self.log_id)
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
        now = self._clock()
        if records:
            self._check_room(now)
        if self._is_abandoned or self._is_due(now):
            self._rotate()
        try:
            self._segment.reserve(len(payload))
        except OSError as error:
            # A file at its limit is left for another, and a disk that fails shows at the sync that begins a rotation.
            self._is_abandoned = error.errno not in (errno.ENOSPC, errno.EDQUOT)
            raise self._refusal(error) from error
        try:
            self._segment.write(payload, records, now)
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
        if self._is_due(self._clock()):
            self._rotate()
        with contextlib.suppress(LogFull):
            self._look_for_room(self._clock())

    @property
    def rotates_in(self) -> float | None:
        """Seconds until the active segment is due by its age; None while it holds no event."""
        if self._segment.sequence == self._segment.name.sequence:
            return None
        return max(0.0, (self._segment.opened_ms + self._segment_ms - self._clock()) / 1000)

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
            self._fault = LogClosed(f"{self.directory}: the log is closed")

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
            self.files.close(self._lock)
            self._lock = None

    def _check_is_open(self) -> None:
        if self._fault is not None:
            raise self._fault.with_traceback(None)

    def _is_due(self, now: int) -> bool:
        segment = self._segment
        if segment.sequence == segment.name.sequence:
            return False
        return segment.offset >= self._segment_bytes or now - segment.opened_ms >= self._segment_ms

    def _check_room(self, now: int) -> None:
        """Raise LogFull below the watermark."""
        self._look_for_room(now)
        if self._free_bytes < self._min_free_bytes:
            raise LogFull(
                f"{self.directory}: {self._free_bytes} bytes are free, under the {self._min_free_bytes} that are kept "
                "for cursors and deletion; make room on the disk"
            )

    def _look_for_room(self, now: int) -> None:
        """Ask the disk, a few times a second and not at each commit. Raises LogFull where it does not answer."""
        if 0 <= now - self._room_checked_ms < _ROOM_CHECK_MS:
            return
        self._room_checked_ms = now
        try:
            self._free_bytes = self.files.free_bytes(self.directory)
        except OSError as error:
            raise self._refusal(error) from error
        self.fullness = self._min_free_bytes / max(self._free_bytes, 1)
        is_low = self._free_bytes < self._warn_free_bytes
        if is_low and not self._is_warned:
            logger.warning("%s: only %d bytes are free on this disk", self.directory, self._free_bytes)
        self._is_warned = is_low

    def _rotate(self) -> None:
        old = self._segment
        self._seal_segment()
        try:
            self._segment = self._create(old.name.number + 1, old.sequence, old.offset, old.previous)
        except OSError as error:
            raise (self._refusal(error) if error.errno in NO_ROOM else self._poison(error)) from error
        old.close()

    def _seal_segment(self) -> None:
        try:
            self._segment.seal()
        except OSError as error:
            raise self._poison(error) from error

    def _create(self, number: int, sequence: int, predecessor_end: int, previous: int) -> SegmentWriter:
        segment = SegmentWriter(
            self.files,
            self.directory,
            self.log_id,
            SegmentName(number, sequence),
            predecessor_end=predecessor_end,
            previous=previous,
            timestamp_ms=self._clock(),
        )
        try:
            self.files.sync_directory(self.directory)
        except OSError as error:
            raise self._poison(error) from error
        self._is_abandoned = False
        self._is_idle = True
        return segment

    def _refusal(self, error: OSError) -> WalError:
        reason = f"{self.directory}: {error.strerror}"
        advice = "make room on the disk" if error.errno in NO_ROOM else "see the disk's own messages"
        return LogFull(f"{reason}; nothing was kept of this block, {advice}")

    def _poison(self, error: OSError) -> LogPoisoned:
        self._fault = LogPoisoned(
            f"{self.directory}: fsync failed ({error.strerror}); what the disk holds is unknown, restart to recover"
        )
        return self._fault
