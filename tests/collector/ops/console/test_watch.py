"""What the console answers about series and accounts, and the rows of refusals, of a node without processes."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.types import Message

from collector.ops.console.api.refusals import EXCEPTION_HANDLERS
from collector.ops.console.folder import open_folder
from collector.ops.console.node.series import SeriesRing
from collector.ops.console.watch import Watch
from collector.ops.console.watch_endpoints import WatchEndpoints, date_of, days_of, series_values
from collector.ops.counters import CounterBlock
from collector.ops.metric_table import RECEIVED, STORED
from collector.ops.refusals import RefusalRing
from collector.server.node_state import NodeState, WorkerState
from collector.settings import load_settings
from wal.log import Log, now_ms

Get = Callable[..., Awaitable[tuple[int, Any]]]
_NODE = NodeState((WorkerState(0, "serving", os.getpid(), "00", None),), started_ms=now_ms())


def _watch(folder: Path, block: CounterBlock) -> Watch:
    (folder / "collector.toml").write_text('[log]\ndir = "log"\n[admin]\ndir = "console"\n')
    Log(str(folder / "log/00")).close()
    return Watch(load_settings(str(folder / "collector.toml")), "c.toml", lambda: _NODE, [block])


def _serve(folder: Path, use: Callable[[Get, CounterBlock, Watch], Awaitable[None]]) -> None:
    """Let a watch run beside `use`."""

    async def main() -> None:
        block = CounterBlock.create()
        watch = _watch(folder, block)
        app = Starlette(routes=WatchEndpoints(watch).routes(), exception_handlers=EXCEPTION_HANDLERS)

        async def get(path: str, query: str = "") -> tuple[int, Any]:
            sent: list[Message] = []

            async def send(message: Message) -> None:
                sent.append(message)

            scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": []}
            await app(scope, receive=None, send=send)  # type: ignore[arg-type]  # a GET has no body
            return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent[1:]))

        running = asyncio.create_task(watch.run())
        try:
            await asyncio.wait_for(use(get, block, watch), 60)
        finally:
            running.cancel()
            await asyncio.wait([running])

    asyncio.run(main())


async def _until(get: Get, path: str, query: str, holds: Callable[[Any], bool]) -> Any:
    while True:
        status, body = await get(path, query)
        if status == 200 and holds(body):
            return body
        await asyncio.sleep(0.05)


def test_a_running_watch_answers_with_series_and_accounts(tmp_path: Path) -> None:
    async def use(get: Get, block: CounterBlock, watch: Watch) -> None:
        block.add(7, RECEIVED.name, "1", "2")
        block.add(7, STORED.name, "1", "2")
        body = await _until(get, "/api/accounts", "", lambda body: body["rows"])
        assert [(row["property"], row["received"]) for row in body["rows"]] == [("1/2", 7)]
        assert body["day"] == date_of(body["from_ms"] // 86_400_000)
        body = await _until(
            get, "/api/series", "names=stored,memory&seconds=5", lambda body: body["values"]["memory"][-1]
        )
        assert (body["step_s"], len(body["values"]["stored"])) == (1, 5)
        status, body = await get("/api/series")
        assert (status, body["step_s"], {len(values) for values in body["values"].values()}) == (200, 10, {360})
        assert watch.samples()["values"]["memory"] > 0

    _serve(tmp_path, use)


@pytest.mark.parametrize(
    "query",
    ["seconds=0", "seconds=3601", "seconds=x", "names=absent", "names=stored,,memory", "other=1", f"names={'x' * 201}"],
)
def test_series_out_of_bounds_are_refused(tmp_path: Path, query: str) -> None:
    async def use(get: Get, block: CounterBlock, watch: Watch) -> None:
        status, body = await get("/api/series", query)
        assert (status, body["code"]) == (400, "bad_parameter")

    _serve(tmp_path, use)


@pytest.mark.parametrize(
    "query", ["day=tomorrow", "day=2020-01-01", "after=-1", "after=x", f"q={'x' * 201}", "limit=1"]
)
def test_accounts_out_of_bounds_are_refused(tmp_path: Path, query: str) -> None:
    async def use(get: Get, block: CounterBlock, watch: Watch) -> None:
        status, body = await get("/api/accounts", query)
        assert (status, body["code"]) == (400, "bad_parameter")

    _serve(tmp_path, use)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("", (100, 100)),
        ("30d", (71, 100)),
        ("1970-04-11", (100, 100)),
        ("1970-03-13", (71, 71)),
        ("1970-03-12", None),
        ("1970-04-12", None),
        ("1970-04-31", None),
        ("31d", None),
    ],
)
def test_a_day_is_one_of_the_last_thirty(text: str, days: tuple[int, int] | None) -> None:
    assert days_of(text, 100) == days


def test_the_last_value_is_the_newest_and_a_pause_shows_as_unknown() -> None:
    ring = SeriesRing(10, 360)
    for tick in range(100, 106):
        ring.put(tick, {"stored": float(tick)})
    found = series_values(ring, ["stored", "absent"], 3600, 1_060_000)
    assert (found["first_ms"], len(found["values"]["stored"])) == ((105 - 359) * 10_000, 360)
    assert found["values"]["stored"][-2:] == [104.0, 105.0]
    assert found["values"]["absent"] == [None] * 360
    assert series_values(ring, ["stored"], 30, 1_080_000)["values"]["stored"] == [104.0, 105.0, None]


def test_refusals_and_duplicates_are_rows_each_given_once(tmp_path: Path) -> None:
    async def use(get: Get, block: CounterBlock, watch: Watch) -> None:
        ring = RefusalRing(block)
        ring.add("not_found", "77/1", b"/v1/batch/")
        ring.add("duplicate", "1/2", b"/event", b"3f9c0123456789ab-8")
        ring.publish()
        first, second = [row.shown() for row in watch.refusals()]
        assert first[1:2] + first[3:] == (
            None,
            "rejected",
            "77/1",
            None,
            "segment",
            None,
            None,
            None,
            None,
            0,
            "not_found",
        )
        assert abs(int(str(first[2])) - now_ms()) < 60_000
        assert second[1:2] + second[3:7] == ("3f9c0123456789ab-8", "duplicate", "1/2", None, None)
        assert second[-1] == "duplicate"
        assert watch.refusals() == []

    _serve(tmp_path, use)


_IN_MEMORY = "the console keeps history in memory only, until the admin process ends: "


def test_a_second_process_keeps_its_history_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def use(get: Get, block: CounterBlock, watch: Watch) -> None:
        await _until(get, "/api/accounts", "", lambda _: True)
        held = sorted(os.listdir(tmp_path / "console"))
        assert held[0] == "LOCK"
        assert caplog.messages == []
        assert open_folder(str(tmp_path / "console")) is None

    _serve(tmp_path, use)
    cause = "held by another process; give each node an admin.dir of its own"
    assert caplog.messages == [f"{_IN_MEMORY}{tmp_path}/console: {cause}"]


@pytest.mark.parametrize(
    ("blocked", "told"),
    [
        ("console", "console: Not a directory"),
        ("console/LOCK", "console: Is a directory"),
        ("console/series", "console/series: Is a directory"),
        ("console/accounts.sqlite", "console/accounts.sqlite: Is a directory"),
    ],
)
def test_a_history_that_cant_be_kept_is_told_once_with_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, blocked: str, told: str
) -> None:
    """Root may write everywhere, so that something else stands in the place of a folder or file."""

    async def use(get: Get, block: CounterBlock, watch: Watch) -> None:
        block.add(1, STORED.name, "1", "2")
        await _until(get, "/api/accounts", "", lambda found: found["rows"])
        await _until(get, "/api/accounts", "", lambda _: caplog.messages != [])

    path = tmp_path / blocked
    if blocked == "console":
        path.write_text("a file")
    else:
        path.mkdir(parents=True)
    _serve(tmp_path, use)
    advice = "let this user write there, or set admin.dir to another folder, and restart"
    assert caplog.messages == [f"{_IN_MEMORY}{tmp_path}/{told}; {advice}"]
