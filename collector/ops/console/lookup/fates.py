"""The fate of an event at each sink, by the cursor and the dead letters of the sink."""

import time
from contextlib import closing
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from collector.dead_letters.reader import letter_in
from collector.dead_letters.writer import Form
from collector.ops.console.lookup.find_line import FoundLine
from collector.settings import Settings
from collector.ship.health import load_health
from wal.cursor import Cursor
from wal.errors import WalError
from wal.files import Files
from wal.folder import LogFolder, logs_at
from wal.reader import Reader
from wal.tools.follow import start_of_selection
from wal.tools.select import Selection
from wal.tools.verify import Finding, read_on

State = Literal["delivered", "pending", "in_flight", "refused", "unknown"]
_CPU_SECONDS: Final = 0.2
"""For the dead letters since the event. 200 MB of them are read in that time."""
_LONGEST_REASON: Final = 500


class SinkFate(Struct, frozen=True):
    """The fate of an event at a sink; `reason` is for people, and may be empty."""

    name: str
    state: State
    reason: str = ""


class Refusals(Struct):
    """The reasons of the sinks that refused an event, by sink."""

    reasons: dict[str, str]
    is_whole: bool
    """Whether all dead letters since the event were read."""


def sink_fates(settings: Settings, found: FoundLine) -> list[SinkFate]:
    """The fate of an event at each sink of the settings, and at each that has a cursor. Raises WalError, OSError."""
    names = dict.fromkeys([*(sink.name for sink in settings.sink), *found.folder.consumers()])
    fates = [_fate(found.folder, name, found.sequence) for name in names]
    if not any(fate.state == "delivered" for fate in fates):
        return fates
    refusals = find_refusals(settings.dead_letters.dir, found, _CPU_SECONDS)
    return [_with_refusal(fate, refusals) if fate.state == "delivered" else fate for fate in fates]


def state_by_cursor(cursor: Cursor, sequence: int) -> State:
    """How far a cursor says that an event is. A sink has passed what it refused, too."""
    intent = cursor.intent
    if sequence < cursor.settled:
        return "delivered"
    return "in_flight" if intent and sequence < intent.last.sequence else "pending"


def find_refusals(directory: str, found: FoundLine, cpu_seconds: float) -> Refusals:
    """Search the dead letters that are not older than an event. Raises WalError, OSError."""
    refusals, deadline = Refusals({}, is_whole=True), time.thread_time() + cpu_seconds
    for folder in logs_at(Files(), directory):
        start = start_of_selection(folder, Selection(since_ms=found.block.header.timestamp_ms))
        if start is None:
            continue
        with closing(Reader(folder, start)) as reader:
            for step in read_on(reader):
                if time.thread_time() > deadline:
                    refusals.is_whole = False
                    return refusals
                if not isinstance(step, Finding):
                    refusals.reasons |= _refusals_in(step.payload, found.line)
    return refusals


def _refusals_in(payload: bytes, line: bytes) -> dict[str, str]:
    """The sinks' reasons in a block of dead letters. A letter holds the line as it stands in the log, as JSON."""
    found: dict[str, str] = {}
    needle = b'"raw":' + line
    at = payload.find(needle)
    while at >= 0:
        start, end = payload.rfind(b"\n", 0, at) + 1, payload.index(b"\n", at)
        record = letter_in(payload[start:end])
        if record is None:
            return found
        if record.form is Form.RECORD and record.sink and bytes(record.raw) == line:
            found[record.sink] = record.reason[:_LONGEST_REASON]
        at = payload.find(needle, end)
    return found


def _with_refusal(fate: SinkFate, refusals: Refusals) -> SinkFate:
    if fate.name in refusals.reasons:
        return SinkFate(fate.name, "refused", refusals.reasons[fate.name])
    if refusals.is_whole:
        return fate
    reason = "delivered or refused: too many dead letters came since to read all; `collector dead ls --where sink=…`"
    return replace(fate, reason=reason)


def _fate(folder: LogFolder, name: str, sequence: int) -> SinkFate:
    try:
        cursor = folder.cursor(name)
    except (WalError, OSError) as fault:
        return SinkFate(name, "unknown", str(fault))
    if cursor is None:
        return SinkFate(name, "pending", "this sink has no cursor in this log yet")
    state = state_by_cursor(cursor, sequence)
    return SinkFate(name, state, "" if state == "delivered" else _obstacle(folder, name))


def _obstacle(folder: LogFolder, name: str) -> str:
    """Why a sink may not have an event yet."""
    health = load_health(folder.path, name)
    return f"{health.state}: {health.error}"[:_LONGEST_REASON] if health and health.state != "up" else ""
