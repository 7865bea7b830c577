"""The state of all sinks at one moment of a log that may be written and shipped meanwhile.

The order of reading keeps moving writers from looking like losses: first the beginning of the log, then cursors and
marks, then dead letters and the names of files, last the end of the log. So whatever a cursor says is delivered was
there before anybody looked for it, every event in a file is before the end of its log, and a segment that retention
drops meanwhile counts as dropped, not as lost.
"""

from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from collector.errors import SinkError
from collector.ops.audit.balance import Claim
from collector.ops.audit.refused_events import RefusedEvents, read_refused
from collector.settings.sinks import SinkSettings
from collector.ship.holdings import Holdings
from collector.ship.partition import DeliveredFile
from collector.ship.sinks import holdings_of
from wal.errors import WalError
from wal.folder import LogFolder
from wal.tools.select import Selection


class SinkState(Struct):
    """A sink and all its files; `holdings` is None if only its cursor can be read."""

    settings: SinkSettings
    settled: dict[str, int]
    """By log id: all events before this sequence count as delivered."""
    holdings: Holdings | None = None
    files: list[DeliveredFile] = []
    other_names: list[str] = []


class Snapshot(NamedTuple):
    """The sinks and the dead letters."""

    sinks: list[SinkState]
    refused: RefusedEvents

    def claim(self, sink: SinkState, log_id: str) -> Claim:
        """The claim of a sink on a log. With `start = "newest"` a sink begins at the first event that it has."""
        dead = self.refused.by_sink.get((sink.settings.name, log_id), [])
        settled = sink.settled.get(log_id, 0)
        if sink.settings.start == "oldest" or sink.holdings is None:
            return Claim(0, settled, dead)
        had = [file.first for file in own_files(sink, log_id)] + [span.first for span in dead]
        return Claim(min([settled, *had]), settled, dead)


def own_files(sink: SinkState, log_id: str) -> list[DeliveredFile]:
    """The files that a sink delivered of a log, without those of replays."""
    return [file for file in sink.files if file.log_id == log_id and not file.replay]


async def take_snapshot(
    folders: list[LogFolder],
    sinks: list[SinkSettings],
    dead_letters: str,
    selection: Selection,
    on_problem: Callable[[str], None],
) -> Snapshot:
    """Read cursors, marks, the dead letters in a folder, and the names of files. Raises WalError, OSError."""
    states = [
        SinkState(sink, {folder.log_id.decode(): _settled(folder, sink.name, on_problem) for folder in folders})
        for sink in sinks
    ]
    for state in states:
        await _read_marks(state, on_problem)
    refused = read_refused(dead_letters, selection)
    for state in states:
        await _read_names(state, on_problem)
    return Snapshot(states, refused)


def _settled(folder: LogFolder, sink: str, on_problem: Callable[[str], None]) -> int:
    try:
        cursor = folder.cursor(sink)
    except WalError as error:
        on_problem(f"sink {sink}: its cursor can't be read: {error}")
        return 0
    return cursor.settled if cursor else 0


async def _read_marks(state: SinkState, on_problem: Callable[[str], None]) -> None:
    """A mark may be ahead of the cursor: the sink gets nothing before it any more."""
    state.holdings = holdings_of(state.settings)
    if state.holdings is None:
        return
    for log_id, settled in state.settled.items():
        try:
            mark = await state.holdings.mark(log_id)
        except SinkError as error:
            on_problem(f"sink {state.settings.name}: its mark can't be read: {error}")
        else:
            state.settled[log_id] = max(settled, mark.next if mark else 0)


async def _read_names(state: SinkState, on_problem: Callable[[str], None]) -> None:
    if state.holdings is None:
        return
    try:
        state.files, state.other_names = await state.holdings.files()
    except SinkError as error:
        on_problem(f"sink {state.settings.name}: its files can't be listed: {error}")
        state.holdings = None
