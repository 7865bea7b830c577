"""Whether the worker of a shard could acknowledge an event now: the facts, from its log."""

import asyncio
import os
from collections.abc import Callable
from typing import Final

from collector.ops.readiness import Facts, NotReady, reason_not_ready
from wal.committer import Committer

LOOK_SECONDS: Final = 0.25
"""Interval at which the log looks at the disk, and readiness is reported: red and green within a second."""


class Readiness:
    """The readiness of a worker, from its start on. Asking never blocks and is cheap, also while everything sheds."""

    def __init__(self, is_draining: Callable[[], bool]) -> None:
        """`is_draining` tells whether a stop has begun."""
        self._is_draining = is_draining
        self._committer: Committer | None = None

    def open(self, committer: Committer) -> None:
        """The log is open from now on."""
        self._committer = committer

    @property
    def shard(self) -> str | None:
        """The name of the shard, such as `00`; None until its log is open."""
        return os.path.basename(self._committer.log.folder.path) if self._committer else None

    async def look_forever(self) -> None:
        """Have the log look at the disk: it may run full, or stop answering, while no event comes."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._committer:
                self._committer.look()

    def reason(self) -> NotReady | None:
        """Why the worker is not ready; None if it is."""
        committer = self._committer
        if committer is None:
            return reason_not_ready(Facts(self._is_draining(), is_open=False))
        room = committer.log.room
        return reason_not_ready(
            Facts(
                is_draining=self._is_draining(),
                is_poisoned=committer.is_poisoned,
                is_stalled=committer.is_stalled,
                is_full=room.is_full,
                is_refusing=room.is_refusing,
            )
        )
