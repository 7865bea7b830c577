"""`wal`: look inside a log, also while it is being written. Reads only."""

import argparse
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from wal.cursor import consumers, load_cursor
from wal.errors import WalError
from wal.files import Files
from wal.format import HEADER_BYTES, Position
from wal.identity import FILE_NAME, read_log_id
from wal.reader import Reader, oldest
from wal.segment import Block, SegmentName, SegmentReader, list_segments

_FILES = Files()
_POLL_SECONDS = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for a damaged log, 2 for a wrong call, 130 for Ctrl-C."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `wal cat … | head` ends without a word
    options = _parser().parse_args(arguments)
    run: Callable[[list[str], argparse.Namespace], None] = options.run
    try:
        run(_logs(options.directory), options)
    except KeyboardInterrupt:
        return 130
    except FileNotFoundError as error:
        print(f"wal: {error}", file=sys.stderr)
        return 2
    except (WalError, OSError) as error:
        print(f"wal: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wal", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[list[str], argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.add_argument("directory", metavar="DIR", help="a log, or a folder of logs such as data/log")
        added.set_defaults(run=run)
        return added

    command("ls", _ls, "list segments and cursors")
    command("cat", _cat, "print every event, one JSON object a line, log after log")
    tail = command("tail", _tail, "print the last events, one JSON object a line")
    tail.add_argument("-n", type=int, default=10, metavar="N", help="how many events of each log to begin with (10)")
    tail.add_argument("-f", "--follow", action="store_true", help="go on with new events until Ctrl-C")
    return parser


def _logs(directory: str) -> list[str]:
    """The log at `directory`, or the logs right below it. Raises FileNotFoundError."""
    below = [os.path.join(directory, name) for name in _FILES.names(directory)]
    logs = [path for path in (directory, *below) if os.path.exists(os.path.join(path, FILE_NAME))]
    if not logs:
        raise FileNotFoundError(f"{directory}: no log here, nor in a folder of it; expected a {FILE_NAME}")
    return logs


def _ls(logs: list[str], _options: argparse.Namespace) -> None:
    for directory in logs:
        log_id = read_log_id(_FILES, directory)
        names = list_segments(_FILES, directory)
        print(f"{directory}  log {log_id.decode()}")
        print(f"  {'segment':>10}  {'first seq':>16}  {'events':>10}  {'bytes':>12}  opened")
        end = _print_segments(directory, log_id, names)
        for consumer in consumers(_FILES, directory):
            if end and (cursor := load_cursor(_FILES, directory, log_id, consumer)):
                sequence = cursor.acked.sequence
                print(f"  cursor {consumer}: next seq {sequence}, {end.sequence - sequence} events behind")


def _print_segments(directory: str, log_id: bytes, names: list[SegmentName]) -> Position | None:
    """A line each; returns the end of the log."""
    end = None
    for name, successor in zip(names, [*names[1:], None], strict=True):
        segment = SegmentReader(_FILES, directory, log_id, name)
        try:
            header, length = segment.header(), segment.size()
        finally:
            segment.close()
        if successor:
            next_sequence = successor.sequence
        else:
            end = _end_of(directory, log_id, Position(name.number, HEADER_BYTES, name.sequence))
            next_sequence = end.sequence
        opened = datetime.fromtimestamp(header.timestamp_ms / 1000, UTC).isoformat(timespec="seconds")
        events = next_sequence - name.sequence
        print(f"  {name.number:>10}  {name.sequence:>16}  {events:>10}  {length:>12}  {opened}")
    return end


def _end_of(directory: str, log_id: bytes, start: Position) -> Position:
    reader = Reader(_FILES, directory, log_id, start)
    for _ in _blocks(reader):
        continue
    return reader.position


def _cat(logs: list[str], _options: argparse.Namespace) -> None:
    for directory in logs:
        if start := oldest(_FILES, directory):
            for block in _blocks(Reader(_FILES, directory, read_log_id(_FILES, directory), start)):
                sys.stdout.buffer.write(block.payload)
    sys.stdout.flush()


def _tail(logs: list[str], options: argparse.Namespace) -> None:
    readers = []
    for directory in logs:
        lines, reader = _last_lines(directory, options.n)
        sys.stdout.buffer.writelines(lines)
        if reader:
            readers.append(reader)
    sys.stdout.flush()
    while options.follow:
        for reader in readers:
            for block in _blocks(reader):
                sys.stdout.buffer.write(block.payload)
        sys.stdout.flush()
        time.sleep(_POLL_SECONDS)


def _last_lines(directory: str, wanted: int) -> tuple[deque[bytes], Reader | None]:
    """The last lines of a log, and a reader that stands behind them."""
    lines: deque[bytes] = deque(maxlen=wanted)
    log_id, reader = read_log_id(_FILES, directory), None
    for name in reversed(list_segments(_FILES, directory)):
        lines.clear()
        reader = Reader(_FILES, directory, log_id, Position(name.number, HEADER_BYTES, name.sequence))
        for block in _blocks(reader):
            lines.extend(block.payload.splitlines(keepends=True))
        if len(lines) == wanted:
            break
    return lines, reader


def _blocks(reader: Reader) -> Iterator[Block]:
    while block := reader.next():
        yield block
