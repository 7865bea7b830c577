"""What one stream of the console sends, message by message. Knows no HTTP.

A stream has no queue, only a place in the ring. It takes the next rows when the message before is sent, so a slow
reader costs nothing: it skips rows, and is told how many.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from collector.ops.console.live.live import Live
from collector.ops.console.live.ring_search import STEP_SECONDS, RingSearch
from collector.ops.console.live.sampling import sampled
from collector.ops.console.rows.filters import Filters
from collector.ops.console.rows.rows import EventRow
from wal.log import now_ms

FLUSH_SECONDS: Final = 0.25
FLUSH_ROWS: Final = 25
RETRY_MS: Final = 1000
_QUIET_SECONDS: Final = 15.0
"""After this a comment shows proxies and the browser that the stream lives."""
_COMMENT: Final = b":\n\n"
_JOB_SECONDS: Final = 0.5
_RANDOM: Final = random.Random()  # noqa: S311  it picks rows to show

LIVE: Final = "live"
NOW: Final = "now"
TOPICS: Final = (LIVE, NOW)


class Sources(NamedTuple):
    """Where a stream takes its messages from."""

    live: Live
    about: Callable[[], dict[str, object]]
    """The members of `hello` about the node: version, node, actions, redacted."""
    samples: Callable[[], dict[str, object]]
    """The data of `now`; empty while there is none."""
    jobs: Callable[[], Sequence[dict[str, object]]]
    """The data of `job` for each job, with its `id`."""


class Wish(NamedTuple):
    """What a client wants."""

    topics: frozenset[str] = frozenset({LIVE})
    filters: Filters = Filters()
    after: tuple[str, int] | None = None
    """The ring and the number of the last row that it has."""


class _Counts(NamedTuple):
    """The event loop's time, and what the live rows had counted by then."""

    at: float
    seen: int
    scanned: int


class LiveMessages:
    """One stream. Create it while the live rows are watched."""

    def __init__(self, sources: Sources, wish: Wish) -> None:
        self._sources = sources
        self._live = sources.live
        self._wish = wish
        self._loop = asyncio.get_running_loop()
        self._place = 0
        """The number of the last row that was considered."""
        self._matched = self._shown = self._untested = 0
        """Rows since the last `coverage`. The text was not searched in the untested ones, for want of CPU."""
        self._since = self._counts()
        self._was_flowing = False
        self._jobs: dict[object, dict[str, object]] = {}
        """The last state sent of each job."""

    async def parts(self) -> AsyncIterator[bytes]:
        """What to send, without end. Each item is sent before the next one is made."""
        yield b"".join([b"retry: %d\n\n" % RETRY_MS, self._hello(), *self._sample()])
        if LIVE in self._wish.topics:
            async for part in self._caught_up():
                yield part
        job_at = self._loop.time()
        second_at, quiet_at = job_at + 1.0, job_at + _QUIET_SECONDS
        while True:
            self._live.check()
            found = await self._flushed() if LIVE in self._wish.topics else []
            now = self._loop.time()
            if now >= second_at:
                second_at = now + 1.0
                found += [*self._sample(), *self._coverage()]
            if now >= job_at:
                job_at = now + _JOB_SECONDS
                found += self._changed_jobs()
            if found or now >= quiet_at:
                quiet_at = now + _QUIET_SECONDS
                yield b"".join(found) or _COMMENT
            await asyncio.sleep(FLUSH_SECONDS)

    def _hello(self) -> bytes:
        ring = self._live.ring
        members = {
            "boot": self._live.boot,
            **self._sources.about(),
            "now_ms": now_ms(),
            "ring": {"first": ring.first, "last": ring.last},
            "limits": {"rows": FLUSH_ROWS, "flush_ms": int(FLUSH_SECONDS * 1000)},
        }
        return message("hello", members)

    async def _caught_up(self) -> AsyncIterator[bytes]:
        """The rows that a client missed, at a first opening those of the ring; before them a gap if some are left out.

        The message `backlog` tells how many rows were searched, also while a text is.
        """
        reason, start, lost = self._resumption()
        search = RingSearch(self._live, self._live.ring.after(start), self._wish.filters)
        self._place, self._since = self._live.ring.last, self._counts()
        while not search.is_done:
            await search.step()
            if not search.is_done:
                yield message("backlog", search.progress())
                await asyncio.sleep(STEP_SECONDS)
        missed = None if lost is None else lost + search.left_out
        gap = [_gap(missed, reason)] if reason and missed != 0 else []
        last = message("backlog", search.progress(), self._id(self._place))
        yield b"".join([*gap, *self._row_messages(search.shown), last])

    def _resumption(self) -> tuple[str, int, int | None]:
        """How this client goes on.

        The reason of a gap, if there should be one; the number of its last row; and how many rows have left the ring
        since, None if nobody knows.
        """
        ring, after = self._live.ring, self._wish.after
        if after is None:
            return "", 0, 0
        if after[0] != self._live.boot or after[1] > ring.last:
            return "restart", 0, None
        return "resume", after[1], max(0, ring.first - 1 - after[1])

    async def _flushed(self) -> list[bytes]:
        """The rows since the last flush; before them a gap, if some have left the ring by now."""
        ring = self._live.ring
        missed = ring.first - 1 - self._place
        gap = [_gap(missed, "slow")] if missed > 0 else []
        rows = await self._matching(ring.after(self._place))
        shown = sampled(rows, FLUSH_ROWS, _RANDOM.sample)
        self._matched += len(rows)
        self._shown += len(shown)
        return gap + self._row_messages(shown)

    async def _matching(self, rows: list[EventRow]) -> Sequence[EventRow]:
        """Those of the newest rows that the filters let through. From now on these are considered."""
        self._place = self._live.ring.last
        filters = self._wish.filters
        found = filters.select(rows)
        if not filters.needles:
            return found
        holding, tested = await self._live.holding(found, filters)
        self._untested += len(found) - tested
        return holding

    def _row_messages(self, rows: Sequence[EventRow]) -> list[bytes]:
        """Rows, with the numbers from which a client can go on after each message."""
        parts = [rows[at : at + FLUSH_ROWS] for at in range(0, len(rows), FLUSH_ROWS)]
        numbers = [part[-1].number for part in parts[:-1]] + [self._place]
        return [
            message("rows", [row.shown() for row in part], self._id(number))
            for part, number in zip(parts, numbers, strict=False)
        ]

    def _sample(self) -> list[bytes]:
        sample = self._sources.samples() if NOW in self._wish.topics else None
        return [message("now", sample)] if sample else []

    def _coverage(self) -> list[bytes]:
        """How much of what came is shown; nothing after a second in which nothing came, but for the first one."""
        if LIVE not in self._wish.topics:
            return []
        before, self._since = self._since, self._counts()
        seen = self._since.seen - before.seen
        was_flowing, self._was_flowing = self._was_flowing, seen > 0 or self._matched > 0
        members = {
            "seconds": round(self._since.at - before.at, 3),
            "seen": seen,
            "scanned": self._since.scanned - before.scanned - self._untested,
            "matched": self._matched,
            "shown": self._shown,
        }
        self._matched = self._shown = self._untested = 0
        return [message("coverage", members, self._id(self._place))] if was_flowing or self._was_flowing else []

    def _changed_jobs(self) -> list[bytes]:
        jobs = {job["id"]: job for job in self._sources.jobs()}
        before, self._jobs = self._jobs, jobs
        return [message("job", job) for name, job in jobs.items() if job != before.get(name)]

    def _counts(self) -> _Counts:
        return _Counts(self._loop.time(), self._live.seen, self._live.scanned)

    def _id(self, number: int) -> str:
        return f"{self._live.boot}.{number}"


def message(event: str, data: object, event_id: str | None = None) -> bytes:
    """One message. JSON has no line break, so it is one line of data."""
    last_id = f"id: {event_id}\n" if event_id else ""
    return b"%bevent: %b\ndata: %b\n\n" % (last_id.encode(), event.encode(), msgspec.json.encode(data))


def _gap(missed: int | None, reason: str) -> bytes:
    """Rows that this client will not get; `missed` is None if nobody knows how many."""
    return message("gap", {"missed": missed, "reason": reason})
