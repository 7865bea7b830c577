"""How long ids are remembered: the windows of all properties, and the file that keeps them.

The index is complete by the windows that its file has. If one of them is longer now, or an id is remembered that was
not, events that are in the logs already must be read again.
"""

import os
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from wal.files import opener


class Window(NamedTuple):
    """How long a property's ids are remembered, in ms: of its events, and of those through a dialect. 0: not at all."""

    event_ms: int
    dialect_ms: int


Windows = Mapping[tuple[int, int], Window]
"""The windows of each property, by portal and property."""


def window_of(windows: Windows, portal_id: int, prop_id: int, dialect: str | None) -> int:
    """How long the id of such an event is remembered, in ms; 0 for a property that is not known any more."""
    window = windows.get((portal_id, prop_id))
    if window is None:
        return 0
    return window.event_ms if dialect is None else window.dialect_ms


def longest(windows: Windows) -> int:
    """The longest window in ms, 0 if no id is remembered."""
    return max((max(window) for window in windows.values()), default=0)


def has_grown(old: Windows, new: Windows) -> bool:
    """Whether a property remembers ids longer than before. A new property has no events yet."""
    for prop, window in new.items():
        before = old.get(prop, window)
        if window.event_ms > before.event_ms or window.dialect_ms > before.dialect_ms:
            return True
    return False


def read_windows(path: str) -> Windows | None:
    """The windows in a file; None if there is none."""
    try:
        with open(path, "rb") as file:
            rows = msgspec.msgpack.decode(file.read(), type=list[tuple[int, int, int, int]])
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return {(portal_id, prop_id): Window(*window) for portal_id, prop_id, *window in rows}


def write_windows(path: str, windows: Windows) -> None:
    """Replace the file, whole: a process that is killed leaves the old one or the new one."""
    rows = [(*prop, *window) for prop, window in windows.items()]
    with open(f"{path}.tmp", "wb", opener=opener) as file:
        file.write(msgspec.msgpack.encode(rows))
    os.replace(f"{path}.tmp", path)
