"""`python -m bench.recovery`: how fast a log is scanned, and what memory a start takes, whatever the log's size."""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

from wal.files import Files
from wal.folder import LogFolder
from wal.log import Log
from wal.reader import Reader, read_all

_LINE = b'{"id":"0123456789abcdef-1","event":"%b"}\n' % (b"x" * 473)
_BLOCK = _LINE * 16
_MIB = 1 << 20


class _UnsyncedFiles(Files):
    """Builds the log to be measured without waiting for the disk."""

    def sync(self, descriptor: int) -> None:
        """Leave it to the kernel."""


def main() -> None:
    """Build a log of 8 KiB blocks, then scan it and open it, each in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m bench.recovery", description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the log (1024)")
    size = parser.parse_args().mib
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        directory = str(Path(folder) / "00")
        log_id = build(directory, size)
        idle = _in_a_process(_open, str(Path(folder) / "empty"), b"")
        scanned = _in_a_process(_scan, directory, log_id)
        opened = _in_a_process(_open, directory, log_id)
    print(f"scan of {size} MiB in blocks of {len(_BLOCK)} bytes: {size * _MIB / scanned[0] / 1e9:.2f} GB a CPU second")
    print(f"start with {size} MiB: {opened[0] * 1000:.0f} ms of CPU, {opened[1] - idle[1]:.1f} MiB over an empty log")


def build(directory: str, mib: int) -> bytes:
    """Make a log of this size; returns its id."""
    log = Log(directory, files=_UnsyncedFiles())
    for number in range(mib * _MIB // len(_BLOCK)):
        log.commit(_BLOCK, 16)
        if sys.stderr.isatty() and number % 1024 == 0:
            print(f"\rbuilding: {number * len(_BLOCK) // _MIB} of {mib} MiB", end="", file=sys.stderr)
    log.seal()
    log.close()
    return log.log_id


def _scan(directory: str, log_id: bytes) -> None:
    files = Files()
    start = LogFolder(files, directory).oldest()
    if start is None or sum(1 for _ in read_all(Reader(LogFolder(files, directory, log_id), start))) == 0:
        raise SystemExit("bench: there was nothing to scan")


def _open(directory: str, _log_id: bytes) -> None:
    Log(directory).close()


def _in_a_process(work: object, directory: str, log_id: bytes) -> tuple[float, float]:
    """CPU seconds of `work`, and the most memory that its process had, in MiB."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        measured: tuple[float, float] = pool.apply(_measured, (work, directory, log_id))
        return measured


def _measured(work: object, directory: str, log_id: bytes) -> tuple[float, float]:
    assert callable(work)
    before = time.process_time()
    work(directory, log_id)
    return time.process_time() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
