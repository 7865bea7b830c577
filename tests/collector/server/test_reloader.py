"""The reloader, with workers that take every swap."""

import asyncio
import threading
from collections.abc import Callable
from typing import cast

import msgspec
import pytest
from msgspec.structs import replace

from collector.server.control import SettingsBoard, Swap
from collector.server.node_state import Node, NodeState
from collector.server.reload import Reloader
from collector.server.worker_process import WorkerProcess
from collector.server.workers import StartWorker, Workers
from collector.settings import Limits, PropertySettings, Settings


class _Swapping:
    """Workers that take every swap."""

    def __init__(self) -> None:
        self.swaps: list[Swap] = []

    async def swap(self, swap: Swap) -> list[WorkerProcess]:
        """Note it."""
        self.swaps.append(swap)
        return []


def test_a_swap_keeps_the_connections_that_fit_into_the_limit_of_open_files() -> None:
    added = replace(Settings(), property=(PropertySettings(portal_id=1, prop_id=2),))
    workers, board, _ = _swap_in(added, for_workers=lambda settings: replace(settings, limits=Limits(connections=7)))
    assert board.read(workers.swaps[0]).limits.connections == 7


def test_the_lines_of_a_reload_fit_into_the_state_of_the_node() -> None:
    _, _, state = _swap_in(replace(Settings(), include=tuple(f"{number}.toml" for number in range(60_000))))
    assert state.last_reload
    assert state.last_reload.is_accepted
    assert len(msgspec.json.encode(state)) < 10_000


def _swap_in(
    settings: Settings, for_workers: Callable[[Settings], Settings] = lambda settings: settings
) -> tuple[_Swapping, SettingsBoard, NodeState]:
    """Reload other settings than the defaults; returns the workers, the board, and what the node tells then."""
    workers, board, states = _Swapping(), SettingsBoard(), list[NodeState]()
    reloader = Reloader(
        Settings(),
        "collector.toml",
        read=lambda: settings,
        for_workers=for_workers,
        start_with=lambda _: cast(StartWorker, None),
        on_accepted=lambda _: None,
        workers=cast(Workers, workers),
        node=Node(1, 0, states.append),
        board=board,
    )
    assert asyncio.run(reloader.reload()).is_accepted
    return workers, board, states[-1]


def test_an_unforeseen_error_is_a_refused_reload_with_a_traceback_in_the_process_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> Settings:
        raise ZeroDivisionError("a value that may be secret")

    states = list[NodeState]()
    reloader = _reloader(fail, states)
    done = asyncio.run(reloader.reload())
    assert not done.is_accepted
    assert done.lines == ("bug in the collector: ZeroDivisionError; the process log has the traceback",)
    assert [state.last_reload.is_accepted for state in states if state.last_reload] == [False]
    bug, refused = caplog.records
    assert (bug.getMessage(), bool(bug.exc_info)) == ("bug in the collector: reload refused", True)
    assert "bug in the collector: ZeroDivisionError" in refused.getMessage()


def test_settings_that_cannot_be_read_in_time_are_refused_and_keep_no_process_from_its_end() -> None:
    ends, states = threading.Event(), list[NodeState]()

    def read() -> Settings:
        ends.wait()
        return Settings()

    reloader = _reloader(read, states, read_seconds=0.01)
    done = asyncio.run(reloader.reload())  # which would wait for a thread of the event loop
    assert done.lines == ("the settings could not be read within 0.01 s: a file or its disk hangs",)
    assert [state.last_reload.is_accepted for state in states if state.last_reload] == [False]
    ends.set()


def _reloader(read: Callable[[], Settings], states: list[NodeState], read_seconds: float = 30.0) -> Reloader:
    """A reloader with workers that take every swap. `states` gets each state of the node."""
    return Reloader(
        Settings(),
        "collector.toml",
        read=read,
        for_workers=lambda settings: settings,
        start_with=lambda _: cast(StartWorker, None),
        on_accepted=lambda _: None,
        workers=cast(Workers, _Swapping()),
        node=Node(1, 0, states.append),
        board=SettingsBoard(),
        read_seconds=read_seconds,
    )
