"""How many CPUs this process may use: its affinity, and the CPU quotas of its cgroup and of the cgroups above it.

`os.cpu_count()` counts the machine's. In a container with `--cpus 2` on 64 cores that would be 62 workers too many.
"""

import os
import re
from collections.abc import Callable, Iterator
from typing import Final

_UNLIMITED: Final = float("inf")
_CGROUP: Final = re.compile(r"^\d+:([^:]*):(/.*)$", re.MULTILINE)
"""Controllers and path in a line of /proc/self/cgroup. Version 2 names no controllers."""
_MOUNT: Final = re.compile(r"^\S+ \S+ \S+ (/\S*) (/\S*) .* - (cgroup2?) \S+ (\S+)$", re.MULTILINE)
"""Root, mount point, type and options of a cgroup hierarchy in a line of /proc/self/mountinfo, see proc(5)."""

Read = Callable[[str], str | None]
"""Returns the text of a file, None if it can't be read."""


def usable_cpus() -> int:
    """The number of CPUs that this process may use, at least 1."""
    return cpus_within_quota(len(os.sched_getaffinity(0)), _read)


def cpus_within_quota(cpus: int, read: Read) -> int:
    """The smaller of `cpus` and the cgroup quota, at least 1.

    A quota of 1.5 CPUs counts as 1: two workers would use it up early in each period, and then both stand still.
    """
    quotas = [_quota(read, folder) for folder in _cgroup_folders(read)]
    return max(1, int(min([cpus, *quotas])))


def _cgroup_folders(read: Read) -> Iterator[str]:
    """The folders of the cgroups that may limit this process's CPUs: its own, and the visible ones above it."""
    paths = dict(_CGROUP.findall(read("/proc/self/cgroup") or ""))
    v1 = [path for controllers, path in paths.items() if "cpu" in controllers.split(",")]
    v2 = [paths[""]] if "" in paths else []
    for root, mount, kind, options in _MOUNT.findall(read("/proc/self/mountinfo") or ""):
        if kind == "cgroup2" or "cpu" in options.split(","):
            for path in v2 if kind == "cgroup2" else v1:
                yield from _upwards(mount, _below(root, path))


def _below(root: str, path: str) -> str:
    """The part of a cgroup's path below the mounted root. A container without a cgroup namespace has the host's."""
    root = root.rstrip("/")
    return path.removeprefix(root).rstrip("/") if f"{path}/".startswith(f"{root}/") else ""


def _upwards(mount: str, path: str) -> Iterator[str]:
    yield f"{mount}{path}"
    while path:
        path = path.rpartition("/")[0]
        yield f"{mount}{path}"


def _quota(read: Read, folder: str) -> float:
    """The CPUs that one cgroup allows: `cpu.max` in version 2, two files in version 1."""
    text = read(f"{folder}/cpu.max")
    if text is None:
        text = f"{read(f'{folder}/cpu.cfs_quota_us')} {read(f'{folder}/cpu.cfs_period_us')}"
    quota, _, period = text.partition(" ")
    try:
        cpus = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or no such file
        return _UNLIMITED
    return cpus if cpus > 0 else _UNLIMITED  # version 1 writes -1


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None
