"""Indexes and logs to test with: a small index, records with ids, and the claim of one id."""

from collections.abc import Iterable
from pathlib import Path

from collector.dedup.bounds import Bounds, bounds_of
from collector.dedup.catch_up import CaughtUp, catch_up
from collector.dedup.index import DedupIndex
from collector.dedup.layout import Place, hash_of, key
from collector.dedup.store import IndexStore, open_store
from collector.dedup.windows import Window, Windows
from wal.files import Files
from wal.log import Log

MAP_BYTES = 4 << 20
NOW = 1_700_000_000_000
HOUR = 3_600_000
LOG = b"0123456789abcdef"
OTHER = b"fedcba9876543210"
BOUNDS = bounds_of(100_000, MAP_BYTES)
WINDOWS = {(1, 2): Window(HOUR, 2 * HOUR)}


class NoSync(Files):
    """A disk without fsync, which no test here needs."""

    def sync(self, descriptor: int) -> None:
        """Nothing."""

    sync_all = sync_names = sync


def small_store(directory: Path) -> IndexStore:
    """The index of a folder, in a small map."""
    return open_store(str(directory), MAP_BYTES)


def worker(store: IndexStore, log_id: bytes = LOG, next_sequence: int = 1, bounds: Bounds = BOUNDS) -> DedupIndex:
    """A process that has opened its log."""
    index = DedupIndex(store, bounds)
    index.begin(log_id, next_sequence)
    return index


def claim(index: DedupIndex, name: str, sequence: int, now_ms: int = NOW, window_ms: int = HOUR) -> Place | None:
    """Claim one id, as a request with one event does."""
    with index.claims(now_ms) as claims:
        return claims.claim(key(hash_of(1, 2), name), sequence, window_ms)


def knows(index: DedupIndex, name: str, now_ms: int = NOW) -> bool:
    """Whether an id is known, which claims it if it is not."""
    return claim(index, name, 1 << 40, now_ms) is not None


def record(log_id: bytes, sequence: int, name: str | None, ms: int = NOW, dialect: str | None = None) -> bytes:
    """A line of a log as the collector writes it; the id in the event itself is always another one."""
    members = b'"event_id":"%b",' % name.encode() if name is not None else b""
    members += b'"dialect":"%b",' % dialect.encode() if dialect else b""
    return (
        b'{"id":"%b-%d","received_at":%d,"occurred_at":%d,"portal_id":1,"prop_id":2,"source":"web","ip":null,'
        b'"user_agent":"\\"event_id\\":\\"x\\"","s2s":false,%b"session":{"id":null},"warnings":[],'
        b'"event":{"event_id":"in-the-event","ea":"view"}}\n'
    ) % (log_id, sequence, ms, ms, members)


def open_log(directory: Path, ms: int = NOW) -> Log:
    """Open a log whose blocks are of this time."""
    return Log(str(directory), files=NoSync(), clock=lambda: ms)


def write(log: Log, names: Iterable[str | None], ms: int = NOW, dialect: str | None = None) -> None:
    """Commit a block with a record for each name."""
    first = log.end.sequence
    lines = [record(log.log_id, first + at, name, ms, dialect) for at, name in enumerate(names)]
    log.commit(b"".join(lines), len(lines))


def read_logs(index: DedupIndex, directory: Path, windows: Windows = WINDOWS, now_ms: int = NOW) -> CaughtUp:
    """Complete an index from the logs in a folder."""
    return catch_up(index, str(directory), windows, now_ms)
