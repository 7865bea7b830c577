"""CPU, memory and open files of processes, from /proc."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from collector.ops.counters import Key
from collector.ops.metric_table import CPU_SECONDS, OPEN_FILES, RESIDENT

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_USER, _SYSTEM, _PAGES = 11, 12, 21
"""Places in /proc/PID/stat after the name of the program."""


def process_samples(pids: Iterable[int]) -> dict[Key, float]:
    """The values by metric name and number of the worker. A process that is gone, or whose pid is 0, is left out."""
    samples: dict[Key, float] = {}
    for number, pid in enumerate(pids):
        with contextlib.suppress(OSError):
            samples.update(_process(pid, str(number)))
    return samples


class ProcessUsage(NamedTuple):
    """The CPU time of a process, user and system, and its resident memory."""

    cpu_seconds: float
    resident_bytes: int


def usage_of(pid: int) -> ProcessUsage:
    """The usage of a process. Raises OSError if it is gone."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return ProcessUsage((int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS, int(fields[_PAGES]) * _PAGE_BYTES)


def _process(pid: int, number: str) -> Iterator[tuple[Key, float]]:
    usage = usage_of(pid)
    yield (CPU_SECONDS.name, number), usage.cpu_seconds
    yield (RESIDENT.name, number), usage.resident_bytes
    yield (OPEN_FILES.name, number), len(os.listdir(f"/proc/{pid}/fd"))
