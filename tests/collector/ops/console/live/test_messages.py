"""What a stream sends: rows as they come, how much of them, what was missed, samples, jobs."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from collector.ops.console.live.live import Live
from collector.ops.console.live.messages import FLUSH_ROWS, LIVE, NOW, LiveMessages, Sources, Wish
from collector.ops.console.live.ring import RING_ROWS
from collector.ops.console.live.ring_search import CATCH_UP_ROWS
from collector.ops.console.rows.filters import Filters
from collector.ops.console.rows.rows import EventRow
from tests.collector.ops.console.quick_loop import run_quickly
from tests.collector.ops.console.written_node import NOTHING_HIDDEN, Node

ABOUT: dict[str, object] = {"node": "node-1", "version": "1", "actions": False, "redacted": []}


class Desk:
    """A ring that a test fills by hand, and the streams that read it."""

    def __init__(self, node: Node) -> None:
        self.live = Live(node.tail(), NOTHING_HIDDEN, list)
        self.jobs: list[dict[str, object]] = []
        self.sources = Sources(self.live, lambda: ABOUT, lambda: {"rate": 7}, lambda: self.jobs)

    def add(self, count: int, kind: str = "stored", **fields: Any) -> None:
        """Rows that arrive now."""
        self.live.ring.extend([EventRow(received_ms=1, kind=kind, **fields) for _ in range(count)])
        self.live.seen += count
        self.live.scanned += count

    async def begun(self, **wish: Any) -> "Reader":
        """A stream that has sent its first messages."""
        self.add(1, "dead")
        reader = self.messages(**wish)
        await reader.read(parts=2)
        return reader

    def messages(self, *topics: str, filters: Filters | None = None, after: int = 0, boot: str = "") -> "Reader":
        """A stream."""
        place = (boot or self.live.boot, after) if after or boot else None
        wish = Wish(frozenset(topics or (LIVE,)), filters or Filters(), place)
        return Reader(LiveMessages(self.sources, wish).parts())


class Reader:
    """The messages of a stream, read when the test wants."""

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts

    async def read(self, names: str = "", parts: int = 1) -> list[tuple[str, Any, str]]:
        """The messages of the next parts, those with one of these names: name, data, id."""
        read = b"".join([await anext(self._parts) for _ in range(parts)]).decode()
        found = [_parsed(message) for message in read.split("\n\n") if "event: " in message]
        return [message for message in found if not names or message[0] in names.split()]

    async def begin(self) -> list[tuple[str, Any, str]]:
        """The messages between `hello` and the end of the backlog, without those of a search that goes on."""
        await self.raw()
        found: list[tuple[str, Any, str]] = []
        while not (found and found[-1][0] == "backlog" and found[-1][1]["is_done"]):
            found += await self.read()
        return found

    async def numbers(self, parts: int = 1) -> list[int]:
        """The numbers of the rows in the next parts."""
        return [row[0] for _, rows, _ in await self.read("rows", parts) for row in rows]

    async def raw(self) -> bytes:
        """The next part."""
        return await anext(self._parts)


def _parsed(text: str) -> tuple[str, Any, str]:
    lines = dict(line.split(": ", 1) for line in text.strip().split("\n"))
    return lines["event"], json.loads(lines["data"]), lines.get("id", "")


@pytest.fixture
def desk(node: Node) -> Desk:
    """Nothing has arrived yet."""
    return Desk(node)


def _of(kind: str) -> Filters:
    return Filters((("kind", kind),))


def test_a_stream_begins_with_what_the_node_is_and_what_the_ring_holds(desk: Desk) -> None:
    async def check() -> None:
        desk.add(3)
        reader = desk.messages()
        raw = await reader.raw()
        assert raw.startswith(b"retry: 1000\n\nevent: hello\ndata: {")
        _, hello, _ = _parsed(raw.decode().split("\n\n")[1])
        assert hello.pop("now_ms") > 1_700_000_000_000
        ring, limits = {"first": 1, "last": 3}, {"rows": 25, "flush_ms": 250}
        assert hello == ABOUT | {"boot": desk.live.boot, "ring": ring, "limits": limits}

    run_quickly(check())


def test_the_newest_rows_come_first_and_then_those_that_arrive(desk: Desk) -> None:
    async def check() -> None:
        desk.add(CATCH_UP_ROWS + 100)
        reader = desk.messages()
        *rows, backlog = await reader.begin()
        assert [len(each) for _, each, _ in rows] == [FLUSH_ROWS] * (CATCH_UP_ROWS // FLUSH_ROWS)
        assert [row[0] for _, each, _ in rows for row in each] == list(range(101, CATCH_UP_ROWS + 101))
        assert [number for _, _, number in rows][:2] == [f"{desk.live.boot}.{at}" for at in (125, 150)]
        end = desk.live.ring.last
        counts = {"rows": end, "searched": end, "matched": end, "shown": CATCH_UP_ROWS, "is_done": True}
        assert backlog == ("backlog", counts, f"{desk.live.boot}.{end}")
        desk.add(2, ea="view")
        arrived = [[at, None, 1, "stored", *[None] * 3, "view", *[None] * 3, 0, None] for at in (end + 1, end + 2)]
        assert await reader.read("rows") == [("rows", arrived, f"{desk.live.boot}.{end + 2}")]

    run_quickly(check())


def test_a_filter_shows_what_matches_in_the_whole_ring(desk: Desk) -> None:
    async def check() -> None:
        desk.add(150, "dead")
        desk.add(15_000)
        *rows, (_, backlog, _) = await desk.messages(filters=_of("dead")).begin()
        assert [row[0] for _, each, _ in rows for row in each] == list(range(1, 151))
        assert backlog == {"rows": 15_150, "searched": 15_150, "matched": 150, "shown": 150, "is_done": True}

    run_quickly(check())


def test_a_text_is_searched_in_the_whole_ring_step_by_step(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        desk.add(1, ea="needle")
        desk.add(15_000)
        monkeypatch.setattr(desk.live, "holding", _a_thousand_a_step)
        *steps, rows, (_, backlog, _) = await desk.messages(filters=Filters(needles=(b"needle",))).begin()
        assert [data["searched"] for _, data, _ in steps] == [1000 * at for at in range(1, 16)]
        assert not any(data["is_done"] or data["shown"] for _, data, _ in steps)
        assert [row[7] for row in rows[1]] == ["needle"]
        assert backlog == {"rows": 15_001, "searched": 15_001, "matched": 1, "shown": 1, "is_done": True}

    run_quickly(check())


def test_a_search_that_takes_too_long_is_given_up_and_says_how_far_it_came(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        desk.add(RING_ROWS)
        monkeypatch.setattr(desk.live, "holding", _a_thousand_a_step)
        reader = desk.messages(filters=Filters(needles=(b"needle",)))
        await reader.raw()
        assert (await reader.read())[0][1]["searched"] == 1000
        desk.add(RING_ROWS)
        _, backlog, _ = (await reader.read())[0]
        assert backlog == {"rows": RING_ROWS, "searched": 1000, "matched": 0, "shown": 0, "is_done": True}

    run_quickly(check())


async def _a_thousand_a_step(rows: list[EventRow], _: Filters) -> tuple[list[EventRow], int]:
    return [row for row in rows[-1000:] if row.ea == "needle"], min(1000, len(rows))


def test_a_flush_has_few_rows_and_the_coverage_tells_of_how_many(desk: Desk) -> None:
    async def check() -> None:
        reader = await desk.begun()
        shown = 0
        for _ in range(5):
            desk.add(500)
            desk.add(1, "dead")
            desk.live.seen += 50
            messages = await reader.read()
            rows = [row for name, data, _ in messages if name == "rows" for row in data]
            assert len(rows) == FLUSH_ROWS
            assert sum(row[3] == "dead" for row in rows) >= 1
            shown += len(rows)
        name, coverage, place = messages[-1]
        assert (name, place) == ("coverage", f"{desk.live.boot}.{desk.live.ring.last}")
        assert coverage.pop("seconds") == 1.0
        assert coverage == {"seen": 2755, "scanned": 2505, "matched": 2505, "shown": shown}

    run_quickly(check())


def test_a_filter_that_matches_little_shows_all_of_it(desk: Desk) -> None:
    async def check() -> None:
        reader = await desk.begun(filters=_of("dead"))
        for _ in range(5):
            desk.add(3000)
            desk.add(FLUSH_ROWS, "dead")
            messages = await reader.read()
            assert [row[3] for row in messages[0][1]] == ["dead"] * FLUSH_ROWS
        coverage = messages[-1][1]
        assert (coverage["seen"], coverage["matched"], coverage["shown"]) == (15_125, 125, 125)

    run_quickly(check())


def test_the_coverage_ends_with_one_that_says_that_nothing_comes(desk: Desk) -> None:
    async def check() -> None:
        reader = await desk.begun()
        desk.add(1)
        seen = [data["seen"] for _, data, _ in await reader.read("coverage", parts=3)]
        assert seen == [1, 0]
        assert await reader.raw() == b":\n\n", "a comment, since the stream is silent"

    run_quickly(check())


def test_a_stream_goes_on_where_its_client_was_and_leaves_nothing_out(desk: Desk) -> None:
    async def check() -> None:
        desk.add(1000)
        *rows, (_, backlog, _) = await desk.messages(after=100).begin()
        assert [row[0] for _, each, _ in rows for row in each] == list(range(101, 1001))
        assert (backlog["rows"], backlog["shown"]) == (900, 900)
        reader = desk.messages(after=1000)
        assert [name for name, _, _ in await reader.begin()] == ["backlog"]
        desk.add(1)
        assert await reader.numbers() == [1001]

    run_quickly(check())


@pytest.mark.parametrize(("arrived", "missed"), [(CATCH_UP_ROWS + 70, 70), (RING_ROWS + 500, RING_ROWS - 1500)])
def test_a_client_that_comes_back_too_late_is_told_how_many_rows_it_misses(
    desk: Desk, arrived: int, missed: int
) -> None:
    async def check() -> None:
        desk.add(100)
        desk.add(arrived)
        gap, *rows, _ = await desk.messages(after=100).begin()
        assert gap[:2] == ("gap", {"missed": missed, "reason": "resume"})
        end = desk.live.ring.last
        assert [row[0] for _, each, _ in rows for row in each] == list(range(end - CATCH_UP_ROWS + 1, end + 1))

    run_quickly(check())


@pytest.mark.parametrize(("boot", "after"), [("0123abcd", 5), ("", 99)])
def test_a_place_in_another_ring_means_that_the_admin_process_has_restarted(desk: Desk, boot: str, after: int) -> None:
    async def check() -> None:
        desk.add(20)
        gap, rows, _ = await desk.messages(boot=boot, after=after).begin()
        assert gap[:2] == ("gap", {"missed": None, "reason": "restart"})
        assert len(rows[1]) == 20

    run_quickly(check())


def test_a_slow_reader_skips_rows_and_is_told_how_many(desk: Desk) -> None:
    async def check() -> None:
        reader = await desk.begun()
        before = desk.live.ring.last
        for _ in range(30):
            desk.add(1000)
        gap, rows, *_ = await reader.read()
        assert gap[:2] == ("gap", {"missed": 30_000 - RING_ROWS, "reason": "slow"})
        assert rows[1][0][0] > before + 30_000 - RING_ROWS
        desk.add(1)
        assert await reader.read("gap") == []

    run_quickly(check())


def test_a_stream_of_samples_gets_one_each_second_and_no_row(desk: Desk) -> None:
    async def check() -> None:
        reader = desk.messages(NOW)
        assert [name for name, _, _ in await reader.read()] == ["hello", "now"]
        for _ in range(3):
            desk.add(10)
            assert await reader.read() == [("now", {"rate": 7}, "")]

    run_quickly(check())


def test_a_job_is_told_when_it_changes_and_at_most_twice_a_second(desk: Desk) -> None:
    async def check() -> None:
        desk.jobs = [_job(0)]
        reader = await desk.begun()
        told = []
        for done in range(1, 9):
            desk.jobs = [_job(done)]
            desk.add(1)  # so that each flush has something
            told += [data["done"] for _, data, _ in await reader.read("job")]
        assert told in ([2, 4, 6, 8], [1, 3, 5, 7])

    run_quickly(check())


def _job(done: int) -> dict[str, object]:
    return {"id": "j-1", "kind": "replay", "state": "running", "done": done, "total": 9, "message": ""}


def test_many_streams_share_one_ring_and_hold_nothing_of_their_own(desk: Desk) -> None:
    async def check() -> None:
        readers = [await desk.begun() for _ in range(5)]
        desk.add(10)
        assert len({tuple((await reader.numbers())[-10:]) for reader in readers}) == 1

    run_quickly(check())
