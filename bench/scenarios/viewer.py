"""What a viewer of the console costs intake, how its page bears the highest rate, and its views a day of events."""

import http.client
import shutil
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Final

from bench import BenchError, servers
from bench.load import traffic
from bench.load.event import others
from bench.load.traffic import Traffic
from bench.measure import Options, Row, Sample, compared, in_turn, load, progress
from bench.processes import free_port
from bench.scenarios.console import Unsynced, line_of
from bench.servers import Server
from wal.log import Log

_MOST_FOR_INTAKE: Final = 1.03
_MOST_TASK_MS: Final = 100.0
_EVENTS: Final = (10_000_000, 20_000)
"""Of a long log: a day of a busy shop."""
_IN_A_BLOCK: Final = 64
_MOST_VIEWS_MS: Final = 50.0
"""For all views together: less than anybody notices."""
_PATHS: Final = ("/", "/api/node", "/api/shards", "/api/series", "/api/accounts", "/api/dead")
"""What the views ask for as they are opened; the stream of Live and Now comes beside."""
_SEGMENTS: Final = "/api/shards/00/segments"
"""What Log asks for as a shard is unfolded; it takes a look at each segment."""
_HIGH: Final = "the highest rate"
_PATIENCE_SECONDS: Final = 30.0
_LONG_TASKS: Final = """() => {
    window.tasks = [0]
    new PerformanceObserver(list => tasks.push(...list.getEntries().map(each => each.duration)))
        .observe({type: 'longtask', buffered: true})
}"""


def why_not() -> str:
    """The reason why it can't run here; empty if it can."""
    return "" if shutil.which("chromium") else "chromium is not installed; on Debian: apt-get install chromium"


def of_viewer(options: Options) -> Iterator[Row]:
    """What a viewer of the console costs intake, how its page bears the highest rate, and its views a day of events"""
    with _node() as (server, port):
        for kind in (traffic.singles(), traffic.batches()):
            runs = {"with": partial(_viewed, server, port, kind), "without": partial(load, server, kind)}
            samples = in_turn(runs, options, f"{kind.name} with and without a viewer")
            yield compared(
                f"{kind.name}, with a viewer", samples["with"], samples["without"], "without", most=_MOST_FOR_INTAKE
            )
        progress("the page at the highest rate")
        yield _of_page(server, port, options.size(30.0, 1.0))
    yield from _of_views(options)


@contextmanager
def _node(folder: Path | None = None, sinks: str = servers.FILE_SINK) -> Iterator[tuple[Server, int]]:
    """A collector, and the port of its console."""
    port = free_port()
    with servers.collector(folder, sinks=sinks, admin=f'port = {port}\ndir = "console"') as server:
        yield server, port


def _viewed(server: Server, port: int, kind: Traffic, seconds: float) -> Sample:
    """The load while somebody looks at the console."""
    with _stream(port) as (connection, messages):
        reading = threading.Thread(target=list, args=(messages,))
        reading.start()
        sample = load(server, kind, seconds)
        connection.shutdown(socket.SHUT_RDWR)
        reading.join()
    return sample


@contextmanager
def _stream(port: int) -> Iterator[tuple[socket.socket, IO[bytes]]]:
    """The connection of a viewer who was let in, and the lines that come."""
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as messages:
        connection.sendall(b"GET /api/stream?topics=live,now HTTP/1.1\r\nhost: localhost\r\n\r\n")
        status = messages.readline()
        if b" 200 " not in status:
            raise BenchError(f"the stream got {status.decode()}")
        yield connection, messages


def _of_page(server: Server, port: int, seconds: float) -> Row:
    """The longest task of a page that shows Live while batches come as fast as they are taken."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - it takes longer than `python -m bench --help`

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("main")
        page.evaluate(_LONG_TASKS)
        sample = load(server, traffic.batches(), seconds)
        tasks: list[float] = page.evaluate("tasks")
        rows: int = page.locator("main [role=row], main tr, main li").count()
        browser.close()
    beside = f"{len(tasks) - 1} tasks over 50 ms in {seconds:.0f} s; {sample.rate:,.0f} events/s, {rows} rows shown"
    return Row(f"longest task of the page, {_HIGH}", max(tasks), "ms", most=_MOST_TASK_MS, beside=beside)


def _of_views(options: Options) -> Iterator[Row]:
    events = options.size(*_EVENTS)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        empty, full = Path(folder) / "empty", Path(folder) / "full"
        empty.mkdir()
        _build(full / "log/00", events)
        (mine, first, segments), (theirs, theirs_first, _) = (_opened(each, options.rounds) for each in (full, empty))
    yield Row(
        f"all views on {events:,} events",
        mine,
        "ms",
        f"empty log {theirs:.1f} ms",
        most=_MOST_VIEWS_MS,
        beside=f"after a start {first:.0f} ms, on the empty log {theirs_first:.0f} ms",
    )
    yield Row(f"the segments of {events:,} events", segments, "ms")


def _opened(folder: Path, rounds: int) -> tuple[float, float, float]:
    """Milliseconds until the console of a node on this folder has answered.

    For all views, for these after its start, and for the segments of a shard.
    """
    with _node(folder, sinks="") as (_, port):
        first, *later = [_milliseconds(port, *_PATHS) + _until_a_message(port) for _ in range(rounds + 1)]
        segments = [_milliseconds(port, _SEGMENTS) for _ in range(rounds)]
        return statistics.median(later), first, statistics.median(segments)


def _milliseconds(port: int, *paths: str) -> float:
    begun = time.monotonic()
    for path in paths:
        while (status := _get(port, path)) != 200:  # right after a start, accounts are not open yet
            if status != 503 or time.monotonic() > begun + _PATIENCE_SECONDS:
                raise BenchError(f"GET {path} got {status}")
            time.sleep(0.01)
    return (time.monotonic() - begun) * 1000


def _get(port: int, path: str) -> int:
    """The status of a request, whose answer was read to its end."""
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as client:
        client.request("GET", path)
        answer = client.getresponse()
        answer.read()
        return answer.status


def _until_a_message(port: int) -> float:
    """Milliseconds until the stream of a new viewer has its first message."""
    begun = time.monotonic()
    with _stream(port) as (_, messages):
        next(line for line in messages if line.startswith(b"data:"))
    return (time.monotonic() - begun) * 1000


def _build(folder: Path, events: int) -> None:
    """A log of so many events, as intake stores them."""
    progress(f"a log of {events:,} events")
    log = Log(str(folder), files=Unsynced())
    lines = [line_of(event, log.log_id) for event in others(_IN_A_BLOCK)]
    for _ in range(events // _IN_A_BLOCK):
        log.commit(b"".join(lines), _IN_A_BLOCK)
    log.mark_idle()
    log.close()
