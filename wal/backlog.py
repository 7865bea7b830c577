"""The appends that wait for the disk, as blocks in the order of their commits.

Belongs to the event loop. It does not know the thread, nor when a block is to be committed.
"""

import asyncio
from collections import deque
from typing import Final

from wal.errors import WalError
from wal.pending_block import PendingBlock

BLOCK_BYTES: Final = 1 << 20
"""A block of this size takes no more appends. A larger append gets a block of its own."""
MAX_WAITING_BYTES: Final = 64 << 20


class Backlog:
    """A queue of blocks, of which the last may take more appends.

    `Committer.append` fills the open block and counts its bytes here by itself, since a call would cost each append.
    """

    __slots__ = ("_blocks", "_loop", "length", "open")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._blocks: deque[PendingBlock] = deque()
        self.open: PendingBlock | None = None
        """The last block, if it takes more appends."""
        self.length = 0
        """Bytes of payload in all blocks, and in the one in flight too."""

    def __bool__(self) -> bool:
        """Whether a block waits."""
        return bool(self._blocks)

    @property
    def last(self) -> PendingBlock | None:
        """The block that is committed last."""
        return self._blocks[-1] if self._blocks else None

    def open_block(self) -> PendingBlock:
        """Put an empty block at the end; the one before takes no more appends."""
        block = self.open = PendingBlock(self._loop)
        self._blocks.append(block)
        return block

    def take(self, most_seconds: float) -> PendingBlock | None:
        """Remove and return the first block; None while it grows, which it may for `most_seconds`."""
        block = self._blocks[0]
        if block is self.open:
            if block.is_growing(self._loop.time(), most_seconds):
                return None
            self.open = None
        return self._blocks.popleft()

    def fail(self, fault: WalError) -> None:
        """Remove all blocks, and fail their appends."""
        for block in self._blocks:
            block.resolve(fault)
        self._blocks.clear()
        self.open = None
        self.length = 0
