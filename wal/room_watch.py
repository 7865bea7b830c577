"""The room on the disk of a log that is being written: looks at it, warns, and refuses commits below the reserve.

What the numbers mean is decided in `room.py`.
"""

import errno
import logging
from collections.abc import Callable
from typing import Final

from wal.errors import NO_ROOM, LogFull, advice_on, cause_of
from wal.folder import LogFolder
from wal.room import Shortage, pressure, refusal, shortage_of, warning

_CHECK_MS: Final = 200
"""Least time between two looks, so that not every commit asks the disk."""
_REFUSED_MS: Final = 1000
"""How long a refused commit counts as news of the disk: the next one may succeed, and nothing else can tell."""

logger = logging.getLogger(__name__)


class RoomWatch:
    """One thread commits and calls `check`; `shortage` and the properties may be used from another thread."""

    def __init__(
        self, folder: LogFolder, *, warn_free_bytes: int, min_free_bytes: int, monotonic: Callable[[], int]
    ) -> None:
        """`monotonic` returns milliseconds."""
        self.pressure = 0.0
        """The reserve as a share of what is free. Above 1, commits are refused."""
        self._folder = folder
        self._warn_free_bytes = warn_free_bytes
        self._min_free_bytes = min_free_bytes
        self._monotonic = monotonic
        self._refusal: str | None = None
        self._is_short = False
        self._was_refused = False
        self._is_warned = False
        self._checked_ms: int | None = None
        self._refused: tuple[int, bool] | None = None
        """When the disk last refused a commit, and whether that was for want of room."""

    @property
    def is_full(self) -> bool:
        """Whether there is less than the reserve, or the disk refused a commit for want of room within a second."""
        return self._refusal is not None or self._refused_for_room is True

    @property
    def is_refusing(self) -> bool:
        """Whether the disk refused a commit within a second for another reason, such as no file descriptor."""
        return self._refused_for_room is False

    @property
    def is_short(self) -> bool:
        """Whether delivered segments should be dropped now; `shortage` says how many. Does not ask the disk."""
        return self._is_short or self._was_refused

    def shortage(self) -> Shortage:
        """What has to become free. Asks the disk. For any one thread at a time. Raises OSError.

        The disk's own numbers do not show a quota. So a refusal for want of room that they do not explain counts as a
        shortage of one segment, once: it may have ended since, and only the next commit can tell.
        """
        found = shortage_of(self._folder.room(), self._min_free_bytes)
        self._is_short = any(found)
        was_refused, self._was_refused = self._was_refused, False
        return Shortage(1, 1) if was_refused and not any(found) else found

    def check(self) -> None:
        """Raise LogFull below the reserve, or if the disk does not answer."""
        self.look()
        if self._refusal:
            raise LogFull(f"{self._folder.path}: {self._refusal}")

    def look(self) -> None:
        """Ask the disk for its room, at most every 200 ms. Raises LogFull if it does not answer."""
        now = self._monotonic()
        if self._checked_ms is not None and now - self._checked_ms < _CHECK_MS:
            return
        self._checked_ms = now
        try:
            room = self._folder.room()
        except OSError as error:
            raise self.log_full(error) from error
        self.pressure = pressure(room, self._min_free_bytes)
        self._refusal = refusal(room, self._min_free_bytes)
        self._is_short = any(shortage_of(room, self._min_free_bytes))
        low = warning(room, self._warn_free_bytes)
        if low and not self._is_warned:
            logger.warning("%s: %s", self._folder.path, low)
        self._is_warned = low is not None

    def log_full(self, error: OSError) -> LogFull:
        """The error for a commit that the disk refused; a refusal for want of room makes the disk short."""
        self._was_refused = self._was_refused or error.errno in (errno.ENOSPC, errno.EDQUOT)
        self._refused = self._monotonic(), error.errno in NO_ROOM
        return LogFull(f"{self._folder.path}: {cause_of(error)}; nothing was kept of this block, {advice_on(error)}")

    @property
    def _refused_for_room(self) -> bool | None:
        """Whether the refusal of the last second was for want of room; None if there was none."""
        if self._refused is None or self._monotonic() - self._refused[0] >= _REFUSED_MS:
            return None
        return self._refused[1]
