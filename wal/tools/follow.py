"""`wal cat` and `wal tail`: the events of several logs in order of time."""

import heapq
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import pairwise

from wal.errors import Corrupt
from wal.files import Files
from wal.folder import LogFolder, find_logs
from wal.format import Position, SegmentName
from wal.reader import Reader
from wal.seek import place_before
from wal.tools.listing import opened_ms
from wal.tools.report import ReadReport
from wal.tools.select import Selection, coloured
from wal.tools.terminal import decoded, harmless
from wal.tools.verify import Finding, read_on

_Line = tuple[int, int, bytes]
"""Unix ms of the commit, the index of the log, and the line."""


class Follower:
    """Prints events of several logs in order of time, and remembers its position in each. Close it at the end."""

    def __init__(self, files: Files, directory: str, selection: Selection, *, is_raw: bool) -> None:
        """With `is_raw` a terminal gets the same bytes as a pipe: no escapes, no colours."""
        self._files = files
        self._directory = directory
        self._selection = selection
        self._is_terminal = sys.stdout.isatty() and not is_raw
        self._is_coloured = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._readers: dict[str, Reader] = {}
        self._report = ReadReport()

    def close(self) -> None:
        """Close the open segments."""
        for reader in self._readers.values():
            reader.close()

    @property
    def is_damaged(self) -> bool:
        """Whether damage was found that is not in damage.ndjson."""
        return self._report.is_damaged

    def logs(self) -> list[LogFolder]:
        """The logs whose id can be read; the others are reported.

        Raises FileNotFoundError if there is no log, OSError.
        """
        return [folder for folder in find_logs(self._files, self._directory) if self._is_identified(folder)]

    def new_lines(self) -> Iterator[bytes]:
        """The lines of all logs since the last call, in order of time."""
        try:
            logs = logs_to_read(self.logs(), self._selection)
            for _, _, line in heapq.merge(*(self._lines(at, folder) for at, folder in enumerate(logs))):
                yield line
        finally:
            self._report.print_unreadable("--where skips them, --field prints empty columns")

    def last_lines(self, count: int) -> list[bytes]:
        """The last `count` lines of all logs, in order of time. `new_lines` continues after them."""
        found: list[_Line] = []
        for at, folder in enumerate(self.logs()):
            lines: list[_Line] = []
            for name in reversed(folder.segments()):
                last = deque(self._segment_lines(at, folder, name), maxlen=count)
                lines = [*last, *lines][-count:] if count else []
                if len(lines) == count:
                    break
            found += lines
        self._report.print_unreadable("--where skips them, --field prints empty columns")
        return [line for _, _, line in sorted(found, key=lambda line: line[:2])[-count:]] if count else []

    def show(self, lines: Iterable[bytes]) -> int:
        """Print lines and flush. Returns their number."""
        number = 0
        for number, line in enumerate(lines, 1):  # noqa: B007
            if self._is_terminal:
                sys.stdout.write(self._terminal_text(line))
            else:
                sys.stdout.buffer.write(line)
        sys.stdout.flush()
        return number

    def _terminal_text(self, line: bytes) -> str:
        if self._selection.fields:
            return line.decode()
        text = harmless(decoded(line[:-1])) + "\n"
        return coloured(text) if self._is_coloured else text

    def _is_identified(self, folder: LogFolder) -> bool:
        try:
            return bool(folder.log_id)
        except (Corrupt, FileNotFoundError, PermissionError) as fault:
            self._report.add(Finding("identity", folder.path, f"log.json: {fault}"))
            return False

    def _lines(self, at: int, folder: LogFolder) -> Iterator[_Line]:
        """The lines of one log since the last call."""
        reader = self._readers.get(folder.path)
        if reader is None:
            start = start_of_selection(folder, self._selection)
            if start is None:
                return
            reader = self._readers[folder.path] = Reader(folder, start)
        yield from self._read(reader, at, None)

    def _segment_lines(self, at: int, folder: LogFolder, name: SegmentName) -> Iterator[_Line]:
        """The lines of one segment; of the newest, which comes first, up to the end of the log, for `new_lines`."""
        if folder.path not in self._readers:
            reader = self._readers[folder.path] = Reader(folder, name.start)
            yield from self._read(reader, at, None)
            return
        with closing(Reader(folder, name.start)) as reader:
            yield from self._read(reader, at, name.number)

    def _read(self, reader: Reader, at: int, segment: int | None) -> Iterator[_Line]:
        """The selected lines from the reader's position to the end of `segment` or of the log."""
        last = self._selection.last_sequence(reader.folder.log_id)
        for step in read_on(reader):
            if isinstance(step, Finding):
                self._report.add(step)
                continue
            if segment is not None and step.header.segment != segment:
                return
            for line in self._selection.lines(step, partial(self._report.count_unreadable, reader.folder.path)):
                yield (step.header.timestamp_ms, at, line)
            if step.end.sequence > last:
                return


def logs_to_read(folders: list[LogFolder], selection: Selection) -> list[LogFolder]:
    """The logs that may hold selected events.

    That is one log if an id names one of these. Relayed events keep the id of another log, and may be in all of these.
    """
    event = selection.event_id
    return [folder for folder in folders if event and folder.log_id == event.log_id] or folders


def start_of_selection(folder: LogFolder, selection: Selection) -> Position | None:
    """The first place that may hold selected events. Segments that end before it need not be read."""
    event = selection.event_id
    if event and event.log_id == folder.log_id:
        return place_before(folder, event.sequence)
    names = folder.segments()
    for name, successor in pairwise(names):
        try:
            ended_ms = opened_ms(folder, successor)
        except FileNotFoundError:  # retention has deleted it meanwhile, and those before
            continue
        is_old = ended_ms is not None and ended_ms < selection.since_ms
        if not is_old and successor.sequence > selection.from_sequence:
            return name.start
    return names[-1].start if names else None
