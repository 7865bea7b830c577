"""`collector replay`: events of retained segments, or dead letters of a sink, go out to a sink once more.

A replay has a name that follows from what it sends. Its batches and tokens follow from the log, so that one that was
killed goes on when it is run again, and a sink that counts a batch once does so here too.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import groupby
from typing import Final

from msgspec import Struct

from collector.dead_letters.reader import read_letters
from collector.errors import BadSettings, BatchRefused, SinkError
from collector.process_log.of_sinks import ReplayGap, ReplayRetrying
from collector.settings import Settings
from collector.settings.sinks import SinkSettings
from collector.ship.batch import Batch, Part, slice_batch
from collector.ship.retry import Backoff
from collector.ship.sinks import Sink, sink_of
from wal.files import Files
from wal.folder import LogFolder, find_logs
from wal.format import crc32c
from wal.reader import Reader
from wal.sealed import is_sealed
from wal.segment import Block
from wal.tools.follow import logs_to_read, start_of_selection
from wal.tools.select import Selection
from wal.tools.verify import Finding, read_on

NAME_PATTERN: Final = r"\A[a-z0-9_-]{0,64}\Z"
"""The names of replays: they become a part of names of files, tokens and cursors."""


class Replay(Struct, frozen=True):
    """The events to send again, and the sink that gets them."""

    sink: SinkSettings
    selection: Selection
    name: str = ""
    """Another name makes another replay of the same events."""
    is_of_dead_letters: bool = False
    is_dry: bool = False

    @property
    def label(self) -> str:
        """The name of its files, tokens and cursors. Freezing a selection does not make it another replay."""
        identity = repr((self.sink.name, tuple(self.selection._replace(ends=())), self.is_of_dead_letters)).encode()
        return f"{self.name}-{crc32c(identity):08x}".removeprefix("-")


class ReplayReport(Struct):
    """The outcome so far."""

    events: int = 0
    bytes: int = 0
    batches: int = 0
    skipped: int = 0
    """Events that an earlier run of the same replay had delivered."""
    refused: dict[str, str] = {}
    """Events that the sink will never take, by id, with its reason."""
    unproven: int = 0
    """Events at the end of a log that nothing proves to be fsynced yet; left out."""
    unnamed: int = 0
    """Dead letters whose line has no id, without which a batch can't name its place; left out."""


async def replay(settings: Settings, request: Replay, on_progress: Callable[[ReplayReport], None]) -> ReplayReport:
    """Send the selected events; `on_progress` is called after each batch. Waits for a sink that is away.

    Raises FileNotFoundError where there is no log, WalError, OSError, BadSettings.
    """
    report = ReplayReport()
    outlet = _Outlet(request, report)
    try:
        for batch in _batches(settings, request, report):
            if not request.is_dry:
                await outlet.deliver(batch)
            report.events += batch.records
            report.bytes += len(batch.payload)
            report.batches += 1
            on_progress(report)
    finally:
        await outlet.close()
    return report


def sink_named(settings: Settings, name: str) -> SinkSettings:
    """The settings of a sink. Raises BadSettings."""
    for sink in settings.sink:
        if sink.name == name:
            return sink
    known = ", ".join(sink.name for sink in settings.sink) or "none"
    raise BadSettings(f"no sink is named {name}; the settings have {known}")


class _Outlet:
    """The sink of a replay, open for one log at a time."""

    def __init__(self, request: Replay, report: ReplayReport) -> None:
        self._request = request
        self._report = report
        self._sink: Sink | None = None
        self._log_id = ""
        self._next = 0

    async def deliver(self, batch: Batch) -> None:
        if batch.log_id != self._log_id:
            await self.close()
            self._log_id = batch.log_id
        await self._in_halves(batch)

    async def close(self) -> None:
        if self._sink is not None:
            await self._sink.close()
            self._sink = None

    async def _in_halves(self, batch: Batch) -> None:
        """Deliver a batch, without those events that the sink will never take."""
        try:
            await self._until_taken(batch)
        except BatchRefused as refusal:
            if batch.records == 1:
                self._report.refused[f"{batch.log_id}-{batch.first}"] = str(refusal)
                return
            middle = (batch.records + 1) // 2
            first = slice_batch(batch, 0, middle)
            second = first and slice_batch(batch, first.last + 1, 0)
            for half in (first, second):
                if half:
                    await self._in_halves(half)

    async def _until_taken(self, batch: Batch) -> None:
        backoff = Backoff()
        while True:
            try:
                return await self._attempt(batch)
            except BatchRefused:
                raise
            except SinkError as error:
                pause = backoff.next(error.wait_seconds)
                ReplayRetrying(self._request.sink.name, str(error), pause).write()
            await self.close()
            await asyncio.sleep(pause)

    async def _attempt(self, batch: Batch) -> None:
        if self._sink is None:
            self._sink = sink_of(self._request.sink, f"{self._request.sink.name}.replay.{self._request.label}")
            self._next = (await self._sink.open(batch.log_id, batch.first)).next
        rest = slice_batch(batch, self._next, 0)
        self._report.skipped += batch.records - (rest.records if rest else 0)
        if rest:
            await self._sink.deliver(rest)


def _batches(settings: Settings, request: Replay, report: ReplayReport) -> Iterator[Batch]:
    if request.is_of_dead_letters:
        for log_id, parts in _of_dead_letters(settings, request, report):
            yield from _cut(request, log_id, parts)
        return
    for folder in logs_to_read(find_logs(Files(), settings.log.dir), request.selection):
        log_id = folder.log_id.decode()
        yield from _cut(request, log_id, _of_log(folder, request.selection, report))


def _cut(request: Replay, log_id: str, parts: Iterable[Part]) -> Iterator[Batch]:
    waiting: list[Part] = []
    length = 0
    for part in parts:
        waiting.append(part)
        length += len(part.payload)
        if length >= request.sink.flush_bytes:
            yield _batch(request, log_id, waiting)
            waiting, length = [], 0
    if waiting:
        yield _batch(request, log_id, waiting)


def _batch(request: Replay, log_id: str, parts: list[Part]) -> Batch:
    batch = Batch(log_id, "", tuple(parts), request.label)
    token = (
        f"{log_id}:{request.sink.name}:replay:{request.label}:{batch.first}-{batch.last}:{crc32c(batch.payload):08x}"
    )
    return batch._replace(token=token)


def _of_log(folder: LogFolder, selection: Selection, report: ReplayReport) -> Iterator[Part]:
    """The chosen events of a log, block by block, as far as the next header, of a block or a segment, proves them
    fsynced."""
    start = start_of_selection(folder, selection)
    if start is None:
        return
    unproven: Block | None = None
    with closing(Reader(folder, start)) as reader:
        for step in read_on(reader):
            if isinstance(step, Finding):
                ReplayGap(step.path, step.message).write()
                continue
            if unproven:
                yield from _parts(unproven, selection)
            unproven = step
            if step.start.sequence > selection.last_sequence(folder.log_id):
                break
    if unproven and is_sealed(folder, unproven):
        yield from _parts(unproven, selection)
    elif unproven:
        report.unproven += sum(1 for _ in selection.chosen(unproven))


def _parts(block: Block, selection: Selection) -> Iterator[Part]:
    """The chosen events of a block, in runs of sequences without a gap."""
    chosen = enumerate(selection.chosen(block))
    for _, run in groupby(chosen, key=lambda numbered: numbered[1][0] - numbered[0]):
        lines = [line for _, line in run]
        first, last = lines[0][0], lines[-1][0]
        payload = b"".join(line for _, line in lines)
        yield Part(block.header.timestamp_ms, first, last, payload, block.header.header_crc)


def _of_dead_letters(settings: Settings, request: Replay, report: ReplayReport) -> Iterator[tuple[str, list[Part]]]:
    """The events that this sink refused, log by log, in order; each once."""
    found: dict[str, dict[int, Part]] = {}
    selection = request.selection._replace(where=(("sink", request.sink.name), *request.selection.where))
    for dead_letter in read_letters(settings.dead_letters.dir, selection):
        if dead_letter.event is None:
            report.unnamed += 1
            continue
        log_id, sequence = dead_letter.event
        part = Part(dead_letter.record.received_at, sequence, sequence, dead_letter.body + b"\n")
        found.setdefault(log_id, {})[sequence] = part
    for log_id, parts in found.items():
        yield log_id, [parts[sequence] for sequence in sorted(parts)]
