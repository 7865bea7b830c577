"""What the console's live view costs while a viewer looks: of a row, of a block, and of a second at several rates."""

import json
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench import servers
from bench.load.event import others
from bench.measure import Options, Row, progress
from bench.servers import Server
from collector.ops.console.live.log_tail import LogTail
from collector.ops.console.rows.decoding import row_of_record
from collector.ops.console.rows.rows import BlockPlace
from wal.files import Files
from wal.folder import LogFolder
from wal.log import Log, now_ms

_BLOCKS_A_SECOND: Final = 500
_RATES: Final = ((0, 0.02), (20_000, 0.08), (100_000, None))
"""Events a second, and the share of a core that a viewer may cost; without a bound where the budget of CPU holds it."""
_COVERAGE: Final = b'data: {"seconds"'
_DIFFERENT: Final = 1000
_REPEATS: Final = 20


class Unsynced(Files):
    """Reading is measured, not the disk."""

    def sync(self, descriptor: int) -> None:
        """Nothing."""


class _Seen(NamedTuple):
    """What a viewer's `coverage` messages told, in all."""

    share: float
    seen: int
    scanned: int
    shown: int


def of_console(options: Options) -> Iterator[Row]:
    """CPU of the console's live view: a row, a block, and the share of a core with one viewer"""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "dead").mkdir()
        with _log(folder) as log:
            lines = [line_of(event, log.log_id) for event in others(_DIFFERENT)]
            yield Row("row of a record", _of_row(lines), "us", beside=f"{len(lines[0])} bytes")
            yield Row("hop to the next block", _of_hop(log, options.size(20_000, 100)), "us")
            with servers.console(Path(folder)) as server:
                for rate, most in _RATES:
                    yield _of_rate(server, log, lines, rate, most, options)


@contextmanager
def _log(folder: str) -> Iterator[Log]:
    log = Log(f"{folder}/log/00", files=Unsynced())
    try:
        yield log
    finally:
        log.close()


def line_of(event: dict[str, object], log_id: bytes) -> bytes:
    """A record of about 0.9 KB, as intake stores the event."""
    record = {
        "id": f"{log_id.decode()}-12345678",
        "received_at": now_ms(),
        "portal_id": 33167,
        "prop_id": 564990801,
        "source": "web",
        "ip": "203.0.113.7",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0",
        "referer": "https://shop.example.com/",
        "s2s": False,
        "occurred_at": now_ms(),
        "au_id": "1234567890123456789",
        "client_id": "1234567890123456789.1764350000",
        "session": {"id": "6320", "start": 1764350000, "hits": 3, "new": False},
        "warnings": [],
        "event": event,
    }
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _of_row(lines: list[bytes]) -> float:
    place = BlockPlace("seg", "0123456789abcdef", now_ms())
    return _cpu_us(lambda: [row_of_record(line[:-1], place, 1, 0) for line in lines], len(lines))


def _of_hop(log: Log, blocks: int) -> float:
    """Blocks of a byte or two, so that all of them are near the end of the log."""
    for _ in range(blocks):
        log.commit(b"{}\n", 1)
    log.mark_idle()
    tail = _tail(log)
    begun = time.process_time()
    tail.advance()
    return (time.process_time() - begun) * 1e6 / len(tail.take())


def _tail(log: Log) -> LogTail:
    return LogTail(LogFolder(Files(), log.folder.path), is_new=True)


def _cpu_us(call: Callable[[], object], count: int) -> float:
    begun = time.process_time()
    for _ in range(_REPEATS):
        call()
    return (time.process_time() - begun) * 1e6 / (_REPEATS * count)


def _of_rate(server: Server, log: Log, lines: list[bytes], rate: int, most: float | None, options: Options) -> Row:
    rounds = []
    for number in range(options.rounds):
        progress(f"console, {rate} events/s: round {number + 1} of {options.rounds}")
        rounds.append(_viewed(server, log, lines, rate, options))
    share = statistics.median(each.share for each in rounds)
    seen, scanned, shown = (sum(each[place] for each in rounds) for place in (1, 2, 3))
    beside = f"{scanned / max(seen, 1):.0%} read, {shown:,} of {seen:,} shown; {server.mib:.0f} MiB"
    return Row(f"one viewer, {rate:,} events/s", share, "of a core", most=most, beside=beside)


def _viewed(server: Server, log: Log, lines: list[bytes], rate: int, options: Options) -> _Seen:
    """Append for some seconds while a viewer reads."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET /api/stream HTTP/1.1\r\nhost: localhost\r\n\r\n")
        coverages: list[dict[str, float]] = []
        reading = threading.Thread(target=_read, args=(connection, coverages))
        reading.start()
        # the first tick reads the end of the log, which is no part of the rate
        _append(log, lines, rate, options.size(1.0, 0.3))
        coverages.clear()
        begun, cpu = time.monotonic(), server.cpu_seconds
        _append(log, lines, rate, options.seconds)
        share = (server.cpu_seconds - cpu) / (time.monotonic() - begun)
        connection.shutdown(socket.SHUT_RDWR)
        reading.join()
    seen, scanned, shown = (int(sum(each[name] for each in coverages)) for name in ("seen", "scanned", "shown"))
    return _Seen(share, seen, scanned, shown)


def _read(connection: socket.socket, coverages: list[dict[str, float]]) -> None:
    with connection.makefile("rb") as messages:
        coverages.extend(json.loads(line[len("data: ") :]) for line in messages if line.startswith(_COVERAGE))


def _append(log: Log, lines: list[bytes], rate: int, seconds: float) -> None:
    """Commit blocks at this rate; events come in order of `lines`, again and again."""
    records = rate // _BLOCKS_A_SECOND
    begun = time.monotonic()
    for number in range(int(seconds * _BLOCKS_A_SECOND)):
        if records:
            at = number * records % (len(lines) - records)
            log.commit(b"".join(lines[at : at + records]), records)
        time.sleep(max(0.0, begun + (number + 1) / _BLOCKS_A_SECOND - time.monotonic()))
    log.mark_idle()
