"""The readiness of a worker follows its log: each fault of the disk turns it red, and its end turns it green."""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from collector.ops.readiness import NotReady
from collector.shards.readiness import Readiness
from tests.running import PATIENCE_SECONDS
from tests.wal.faulty_files import FaultyFiles, SmallDisk
from tests.wal.logs import line
from wal.committer import Committer
from wal.errors import LogPoisoned
from wal.files import Room
from wal.log import Log


@asynccontextmanager
async def _worker(
    folder: Path, files: FaultyFiles, *, min_free_bytes: int = 0, stall_seconds: float = PATIENCE_SECONDS
) -> AsyncIterator[tuple[Readiness, Committer]]:
    """A worker with an open log, which looks at the disk as a real one does."""
    log = Log(str(folder / "07"), files=files, min_free_bytes=min_free_bytes)
    committer = Committer(log, stall_seconds=stall_seconds)
    readiness = Readiness(is_draining=lambda: False)
    readiness.open(committer)
    looking = asyncio.create_task(readiness.look_forever())
    async with asyncio.timeout(PATIENCE_SECONDS):
        try:
            yield readiness, committer
        finally:
            looking.cancel()
            files.gate.set()
            with suppress(LogPoisoned):
                await committer.close()
            log.close()


async def _turns(readiness: Readiness, reason: NotReady | None) -> None:
    while readiness.reason() != reason:
        await asyncio.sleep(0.01)


def test_a_worker_without_a_log_is_not_ready_and_with_one_it_is(tmp_path: Path) -> None:
    async def run() -> None:
        assert Readiness(is_draining=lambda: False).reason() == NotReady.LOG_NOT_OPEN
        assert Readiness(is_draining=lambda: True).reason() == NotReady.DRAINING
        async with _worker(tmp_path, FaultyFiles()) as (readiness, _):
            assert (readiness.reason(), readiness.shard) == (None, "07")

    asyncio.run(run())


@pytest.mark.parametrize("what", ["free", "inodes"])
def test_readiness_follows_a_disk_that_runs_full_and_is_freed_though_no_event_comes(tmp_path: Path, what: str) -> None:
    async def run() -> None:
        disk = SmallDisk()
        disk.free, disk.inodes, disk.all_inodes = 10_000, 10_000, 10_000
        async with _worker(tmp_path, disk, min_free_bytes=500) as (readiness, _):
            for amount, reason in ((10, NotReady.DISK_FULL), (10_000, None)):
                setattr(disk, what, amount)
                await _turns(readiness, reason)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, NotReady.DISK_FULL),
        (errno.EDQUOT, NotReady.DISK_FULL),
        (errno.EMFILE, NotReady.COMMIT_REFUSED),
        (errno.EIO, NotReady.COMMIT_REFUSED),
    ],
)
def test_a_refused_commit_turns_it_red_until_the_next_one_may_succeed(
    tmp_path: Path, number: int, reason: NotReady
) -> None:
    async def run() -> None:
        files = FaultyFiles()
        async with _worker(tmp_path, files) as (readiness, committer):
            files.fail("write", number)
            await asyncio.wait([committer.append(line(1))])
            assert readiness.reason() == reason
            await _turns(readiness, None)

    asyncio.run(run())


def test_a_stall_turns_it_red_and_its_end_turns_it_green(tmp_path: Path) -> None:
    async def run() -> None:
        files = FaultyFiles()
        async with _worker(tmp_path, files, stall_seconds=0.05) as (readiness, committer):
            files.gate.clear()
            stalled = committer.append(line(1))
            await _turns(readiness, NotReady.STALLED)
            files.gate.set()
            await stalled
            assert readiness.reason() is None

    asyncio.run(run())


def test_a_disk_that_does_not_respond_turns_it_red_though_no_event_comes(tmp_path: Path) -> None:
    class Hanging(SmallDisk):
        def room(self, path: str) -> Room:
            assert self.gate.wait(PATIENCE_SECONDS)
            return super().room(path)

    async def run() -> None:
        files = Hanging()
        async with _worker(tmp_path, files, stall_seconds=0.05) as (readiness, _):
            files.gate.clear()
            await _turns(readiness, NotReady.STALLED)
            files.gate.set()
            await _turns(readiness, None)

    asyncio.run(run())


def test_a_failed_fsync_turns_it_red_for_good(tmp_path: Path) -> None:
    async def run() -> None:
        files = FaultyFiles()
        async with _worker(tmp_path, files) as (readiness, committer):
            files.fail("sync", errno.EIO)
            await asyncio.wait([committer.append(line(1))])
            assert readiness.reason() == NotReady.POISONED
            committer.look()
            assert readiness.reason() == NotReady.POISONED

    asyncio.run(run())
