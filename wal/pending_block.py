"""The appends that the next commit makes durable together."""

import asyncio

from wal.errors import WalError


class _Shared(asyncio.Future[None]):
    """A future that many tasks await. Cancelling one of them must not take it from the others."""

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002
        return False


class PendingBlock:
    """Lines for one block, and the future that all their appends wait for."""

    __slots__ = ("_leaves_at", "_seen", "future", "length", "lines", "records", "seconds")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[None] = _Shared(loop=loop)
        self.lines: list[bytes] = []
        """One element an append."""
        self.length = 0
        """Bytes of payload."""
        self.records = 0
        self.seconds = 0.0
        """How long its commit took."""
        self._seen = 0
        """`records` one turn of the event loop ago."""
        self._leaves_at = 0.0
        """The latest time of its commit."""

    def is_growing(self, now: float, most_seconds: float) -> bool:
        """Whether appends came since the last call. False once `most_seconds` have passed since the first call."""
        if not self._seen:
            self._leaves_at = now + most_seconds
        is_larger, self._seen = self.records > self._seen, self.records
        return is_larger and now < self._leaves_at

    def resolve(self, fault: WalError | None) -> None:
        """Let all appends succeed, or fail with `fault`."""
        if self.future.done():
            return
        if fault is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(fault)
            self.future.exception()  # mark it as retrieved, since nobody may be waiting for this block
