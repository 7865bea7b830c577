"""A long log: how it is made, scanned and opened.

Its memory is measured in a process that imports this module and little else: other imports would hide a growth.
"""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from typing import Final

from bench import BenchError
from wal.files import Files
from wal.folder import LogFolder
from wal.log import Log
from wal.reader import Reader, read_all

_LINE: Final = b'{"id":"0123456789abcdef-1","event":"%b"}\n' % (b"x" * 473)
BLOCK: Final = _LINE * 16
MIB: Final = 1 << 20


class _UnsyncedFiles(Files):
    """Builds the log to be measured without waiting for the disk."""

    def sync(self, descriptor: int) -> None:
        """Leave it to the kernel."""


def build(directory: str, mib: int) -> bytes:
    """Make a log of this size, in blocks of 8 KiB; returns its id."""
    log = Log(directory, files=_UnsyncedFiles())
    for number in range(mib * MIB // len(BLOCK)):
        log.commit(BLOCK, 16)
        if sys.stderr.isatty() and number % 1024 == 0:
            print(f"\rbuilding: {number * len(BLOCK) // MIB} of {mib} MiB", end="", file=sys.stderr)
    log.seal()
    log.close()
    return log.log_id


def in_a_process(work: Callable[[str, bytes], None], directory: str, log_id: bytes) -> tuple[float, float]:
    """CPU seconds of `work`, and the most memory that its process had, in MiB."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        measured: tuple[float, float] = pool.apply(_measured, (work, directory, log_id))
        return measured


def scan(directory: str, log_id: bytes) -> None:
    """Read all of it."""
    folder = LogFolder(Files(), directory, log_id)
    start = folder.oldest()
    if start is None or sum(1 for _ in read_all(Reader(folder, start))) == 0:
        raise BenchError("there was nothing to scan")


def open_(directory: str, _log_id: bytes) -> None:
    """Open it as a start does."""
    Log(directory).close()


def _measured(work: Callable[[str, bytes], None], directory: str, log_id: bytes) -> tuple[float, float]:
    before = time.process_time()
    work(directory, log_id)
    return time.process_time() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
