"""A log that is open for writing: the one holder of the active segment. Synchronous; one thread at a time.

A commit is one block: reserve, write, fdatasync. Only then does `end`, the durable place, move.
"""

import errno
import os
import time
from collections.abc import Callable
from typing import Final

from wal.errors import LogClosed, LogFull, LogPoisoned, WalError
from wal.files import Files
from wal.format import Position
from wal.identity import ensure_log_id
from wal.recovery import TornTail, recover
from wal.segment import SegmentName, SegmentWriter

SEGMENT_BYTES: Final = 64 << 20
SEGMENT_SECONDS: Final = 60
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
        files: Files | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """Lock the directory, recover what is there and open a new segment. Raises LogLocked, Corrupt, OSError."""
        self.directory = directory
        self.files = files or Files()
        self._segment_bytes = segment_bytes
        self._segment_ms = int(segment_seconds * 1000)
        self._clock = clock
        self._fault: WalError | None = None
        self._is_abandoned = False
        self._is_idle = True
        self.files.make_directory(directory)
        self._lock = self.files.lock(os.path.join(directory, "LOCK"))
        try:
            self.log_id = ensure_log_id(self.files, directory)
            recovered = recover(self.files, directory, self.log_id)
            self.torn: TornTail | None = recovered.torn
            self._segment = self._create(
                recovered.segment, recovered.sequence, recovered.predecessor_end, recovered.previous
            )
        except BaseException:
            self.files.close(self._lock)
            raise

    @property
    def end(self) -> Position:
        """The durable place: every event before it survives a crash, and the next one gets its sequence."""
        return self._segment.end

    def commit(self, payload: bytes, records: int) -> None:
        """Write `records` JSON lines, each ending in LF, as one durable block.

        Raises LogFull (nothing is kept, and a later commit may succeed), LogPoisoned, LogClosed.
        """
        self._check_is_open()
        if self._is_due() or self._is_abandoned:
            self._rotate()
        try:
            self._segment.reserve(len(payload))
        except OSError as error:
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
        """After a pause: write an empty block, whose `durable` proves the last event fsynced, and rotate by age."""
        self._check_is_open()
        if not self._is_idle:
            self.commit(b"", 0)
        if self._is_due():
            self._rotate()

    @property
    def rotates_in(self) -> float | None:
        """Seconds until the active segment is due by its age; None while it holds no event."""
        if self._segment.sequence == self._segment.name.sequence:
            return None
        return max(0.0, (self._segment.opened_ms + self._segment_ms - self._clock()) / 1000)

    def close(self) -> None:
        """Prove the last block durable, seal the segment and let go of the directory. Idempotent."""
        if isinstance(self._fault, LogClosed):
            return
        try:
            if self._fault is None and not self._is_abandoned:
                self.mark_idle()
                self._segment.seal()
        finally:
            self._fault = LogClosed(f"{self.directory}: the log is closed")
            self._segment.close()
            self.files.close(self._lock)

    def _check_is_open(self) -> None:
        if self._fault is not None:
            raise self._fault.with_traceback(None)

    def _is_due(self) -> bool:
        segment = self._segment
        if segment.sequence == segment.name.sequence:
            return False
        return segment.offset >= self._segment_bytes or self._clock() - segment.opened_ms >= self._segment_ms

    def _rotate(self) -> None:
        old = self._segment
        try:
            old.seal()
        except OSError as error:
            raise self._poison(error) from error
        try:
            self._segment = self._create(old.name.number + 1, old.sequence, old.offset, old.previous)
        except OSError as error:
            raise (self._refusal(error) if error.errno in _NO_ROOM else self._poison(error)) from error
        old.close()

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
        advice = "make room on the disk" if error.errno in _NO_ROOM else "see the disk's own messages"
        return LogFull(f"{reason}; nothing was kept of this block, {advice}")

    def _poison(self, error: OSError) -> LogPoisoned:
        self._fault = LogPoisoned(
            f"{self.directory}: fsync failed ({error.strerror}); what the disk holds is unknown, restart to recover"
        )
        return self._fault
