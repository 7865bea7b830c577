"""A real log with its committer in a folder, for the tests that need one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from wal.committer import Committer
from wal.files import Files
from wal.log import Log


@asynccontextmanager
async def live_log(
    folder: Path, *, files: Files | None = None, segment_bytes: int = 64 << 20
) -> AsyncIterator[Committer]:
    """The committer of the log in `folder`, closed at the end."""
    committer = Committer(Log(str(folder), files=files, segment_bytes=segment_bytes))
    try:
        yield committer
    finally:
        await committer.close()
        committer.log.close()
