"""How fast a log is scanned, and what a start on a long log takes: seconds, CPU and memory."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

from bench.load.event import BODY, TARGET
from bench.load.long_log import BLOCK, MIB, build, in_a_process, open_, scan
from bench.measure import Options, Row
from bench.servers import collector

_MIB: Final = (1 << 10, 64)
_MOST_START: Final = 2.0
_GOAL_START: Final = 1.0


def of_start(options: Options) -> Iterator[Row]:
    """From the start of the process to the first 200, on a long log, against an empty one"""
    size = options.mib or options.size(*_MIB)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        empty, long = Path(folder) / "empty", Path(folder) / "long"
        empty.mkdir()
        build(str(long / "log" / "00"), size)
        without_index, seconds = _first_response(long), _first_response(long)  # the first one makes the index of ids
        reference = f"empty log {_first_response(empty):.2f} s"
    name = f"{size:,} MiB of log to the first 200"
    yield Row(name, seconds, "s", reference, most=_MOST_START, goal=_GOAL_START)
    yield Row(f"{size:,} MiB of log, ids lost, to the first 200", without_index, "s", reference)


def of_recovery(options: Options) -> Iterator[Row]:
    """How fast a log is scanned, and what CPU and memory a start on it takes"""
    size = options.mib or options.size(*_MIB)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        directory = str(Path(folder) / "00")
        log_id = build(directory, size)
        _, idle = in_a_process(open_, str(Path(folder) / "empty"), b"")
        scanned, _ = in_a_process(scan, directory, log_id)
        start, most = in_a_process(open_, directory, log_id)
    yield Row(
        f"scan of {size:,} MiB, a CPU second", size * MIB / scanned / 1e9, "GB", f"blocks of {len(BLOCK):,} bytes"
    )
    yield Row(f"start with {size:,} MiB, CPU", start * 1000, "ms")
    yield Row(f"start with {size:,} MiB, memory", most - idle, "MiB", "over an empty log")


def _first_response(folder: Path) -> float:
    begun = time.monotonic()
    with collector(folder) as server:
        request = Request(f"http://127.0.0.1:{server.port}{TARGET}", BODY, {"content-type": "application/json"})
        with urlopen(request):
            return time.monotonic() - begun
