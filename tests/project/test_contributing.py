"""CONTRIBUTING.md says what is so: what it names exists, and real events take the two ways that it tells."""

import asyncio
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from uvicorn.server import ServerState

from collector.http.connection import Connection
from collector.http.connections import STATE, Connections
from collector.http.in_flight import InFlight
from collector.http.meter import Meter
from collector.http.routes import Routes
from collector.ops.notices import Notices
from collector.settings import Limits, PropertySettings, Settings, load_settings
from collector.shards.shard import Shard, drop_delivered, open_log
from collector.ship.batch import Record
from tests.collector.http.recorder import Transport
from tests.collector.live_intake import endpoint, live_intake
from tests.collector.ship.batches import record

_ROOT = Path(__file__).parents[2]
_GUIDE = (_ROOT / "CONTRIBUTING.md").read_text()
_WAYS = ("The way of a POST", "The way out")
_PATH = re.compile(r"`((?:collector|wal|tests|bench|\.ci)/[\w/.]*|[\w.]+\.(?:md|toml|txt))`")
_STEP = re.compile(r"`([\w/]+)\.py`\s+`([\w.]+)`")
_MODULE = re.compile(r"`([\w/]+)\.py`")
_BODY = b'{"ea":"view","ec":"product","sid":6320,"aid":"a-1","uid":"u-1"}'
_POST = (
    b"POST /event?portal_id=1&prop_id=2 HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b"
) % (len(_BODY), _BODY)
_SETTINGS = """
[log]
segment_seconds = 0.001
retain_hours = 0
min_free_bytes = 0
[[sink]]
type = "file"
dir = "events"
flush_seconds = 0.1
"""

Call = tuple[str, str]
"""A module, as a path without its suffix, and the qualified name of a function in it."""


def _section(title: str) -> str:
    return _GUIDE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def _steps(title: str) -> list[str]:
    """The numbered steps of a way."""
    return re.findall(r"^\d+\. (.*(?:\n   .*)*)", _section(title), re.MULTILINE)


def _calls(title: str) -> list[Call]:
    """The functions that the steps of a way name, in order."""
    return [call for step in _steps(title) for call in _STEP.findall(step)]


def _tree() -> list[str]:
    (block,) = re.findall(r"```\n(wal/ .*?)```", _GUIDE, re.DOTALL)
    return [line.split()[0] for line in block.splitlines()]


def test_every_path_that_the_guide_names_exists() -> None:
    named = {*_PATH.findall(_GUIDE), *_tree()}
    assert len(named) > 50
    assert [path for path in sorted(named) if not (_ROOT / path).exists()] == []


def test_the_tree_has_a_line_for_each_folder_of_code() -> None:
    folders = {path.parent for package in ("collector", "wal") for path in (_ROOT / package).rglob("*.py")}
    assert {f"{each.relative_to(_ROOT).as_posix()}/" for each in folders} <= set(_tree())


def test_the_guide_has_each_verb_of_the_makefile_and_no_other() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (_ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)`", _GUIDE)) == set(phony.split())


@pytest.mark.parametrize("title", _WAYS)
def test_a_way_has_at_most_ten_steps_and_enters_no_module_twice(title: str) -> None:
    modules = [module for step in _steps(title) for module in _MODULE.findall(step)]
    assert modules == [module for module, _ in _calls(title)], "a step names a function after each module"
    assert 8 <= len(_steps(title)) <= 10
    assert len(set(modules)) == len(modules)


def test_the_readme_points_to_the_guide() -> None:
    assert "](CONTRIBUTING.md)" in (_ROOT / "README.md").read_text()


def test_a_post_takes_the_way_that_the_guide_tells(tmp_path: Path) -> None:
    with _recorded() as calls:
        asyncio.run(_post(tmp_path))
    assert _in_order_of(calls, "The way of a POST") == _calls("The way of a POST")


def test_a_stored_event_takes_the_way_out_that_the_guide_tells(tmp_path: Path) -> None:
    (tmp_path / "collector.toml").write_text(_SETTINGS)
    settings, folder = load_settings(str(tmp_path / "collector.toml")), tmp_path / "data/log/00"
    with _recorded() as calls:
        asyncio.run(_ship(settings, folder, calls.clear))
    assert _in_order_of(calls, "The way out") == _calls("The way out")


def _in_order_of(calls: list[Call], title: str) -> list[Call]:
    """The functions of a way, in the order of their first calls."""
    return [call for call in dict.fromkeys(calls) if call in _calls(title)]


@contextmanager
def _recorded() -> Iterator[list[Call]]:
    """The calls of functions of ours, in this thread and those that begin now."""
    calls: list[Call] = []
    names: dict[str, str] = {path: _name(path) for path in map(str, _ROOT.rglob("*.py"))}

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and (name := names.get(frame.f_code.co_filename)):
            calls.append((name, frame.f_code.co_qualname))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def _name(path: str) -> str:
    return Path(path).relative_to(_ROOT).with_suffix("").as_posix()


async def _until(is_done: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not is_done():
            await asyncio.sleep(0.001)


async def _post(folder: Path) -> None:
    """Send one request over a connection without a socket, and wait for the response."""
    async with live_intake(folder) as logs:
        served = endpoint(logs, PropertySettings(portal_id=1, prop_id=2))
        routes = Routes({}, served)
        meter = Meter(logs.counters, routes)
        connections = Connections(Limits(), routes, in_flight=InFlight(1 << 20), notices=Notices(), meter=meter)
        connection = Connection(server_state=ServerState(), app_state={STATE: connections})
        transport = Transport()
        connection.connection_made(transport)
        connection.data_received(_POST)
        await _until(lambda: transport.written)
        connections.close()
        assert transport.statuses == [200]


class _NoDeadLetters:
    async def put(self, sink: str, event: Record, reason: str, *, maybe_again: bool) -> None:
        raise AssertionError(reason)


async def _ship(settings: Settings, folder: Path, on_start: Callable[[], None]) -> None:
    """Ship two events, each from a segment of its own, and drop the first segment."""
    shard = Shard(settings, open_log(settings, str(folder)), _NoDeadLetters())
    log = shard.committer.log
    on_start()
    shard.start()
    for sequence in (1, 2):
        await shard.committer.append(record(sequence))
        async with asyncio.timeout(30):
            assert await shard.acknowledgements()["file"].wait(sequence, sequence)
    await shard.close(None)
    drop_delivered(settings, log.folder)
    assert log.folder.segments()[0].number > 1
