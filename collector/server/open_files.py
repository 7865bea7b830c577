"""The limit of open files (RLIMIT_NOFILE), and the connections that fit into it."""

import resource
from typing import Final

RESERVED_FILES: Final = 256
"""Open files of a worker in addition to connections: segments, sinks, their clients, connections refused with 503."""


def allow_files(connections: int) -> int:
    """Raise the soft limit to fit `connections`, as far as the hard limit allows; returns the hard limit.

    Workers inherit it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + RESERVED_FILES
    if soft < needed:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else min(needed, hard), hard)
        )
    return hard


def connection_limit(setting: int, hard_limit: int) -> int:
    """The connections that a worker may hold open, given the hard limit of its open files."""
    if hard_limit == resource.RLIM_INFINITY:
        return setting
    return min(setting, hard_limit - min(RESERVED_FILES, hard_limit // 2))
