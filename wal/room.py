"""Whether a file system has the room that a log needs, pure.

Both bytes and inodes count, because a file system that is out of either cannot create a file. A reserve of both stays
free for cursors, marks and the deletion of segments.
"""

from typing import Final, NamedTuple

from wal.files import Room

_RESERVED_INODES: Final = 256
"""More than the cursors, marks and new segments of a node need at a time, with their temporary files."""
_RESERVED_SHARE: Final = 16
"""A file system with few inodes reserves one in 16, since 256 may be all that it has."""
_WARNED: Final = 4
"""Warn below this multiple of the reserved inodes."""
_AHEAD: Final = 2
"""Delete delivered segments below this multiple of the reserve. Requests are shed only below 1.33 times it."""
_LEAST_BYTES: Final = 32 << 20
"""Delete them below this in any case, so that a log without a reserve of bytes can allocate its next 16 MiB."""


class Shortage(NamedTuple):
    """What must become free: bytes, and files (one inode each)."""

    bytes: int = 0
    files: int = 0


NO_SHORTAGE: Final = Shortage()


def shortage_of(room: Room, min_free_bytes: int) -> Shortage:
    """What must become free; zeros if the disk is not short."""
    goal = max(_AHEAD * min_free_bytes, _LEAST_BYTES)
    return Shortage(max(0, goal - room.bytes), max(0, _AHEAD * _reserved_inodes(room) - room.inodes))


def pressure(room: Room, min_free_bytes: int) -> float:
    """The reserve as a share of what is free, of bytes or inodes, whichever is higher. Above 1, commits are refused."""
    return max(min_free_bytes / max(room.bytes, 1), _reserved_inodes(room) / max(room.inodes, 1))


def refusal(room: Room, min_free_bytes: int) -> str | None:
    """Why commits are refused, and the remedy; None if there is room."""
    if room.bytes < min_free_bytes:
        return (
            f"only {room.bytes} bytes are free, under the {min_free_bytes} that are kept for cursors and deletion; "
            "make room on the disk"
        )
    if room.inodes < (reserve := _reserved_inodes(room)):
        return (
            f"only {room.inodes} inodes are free, under the {reserve} that are kept for cursors and deletion; "
            "remove files from the disk"
        )
    return None


def warning(room: Room, warn_free_bytes: int) -> str | None:
    """What is getting low; None if nothing is."""
    if room.bytes < warn_free_bytes:
        return f"only {room.bytes} bytes are free on this disk"
    if room.inodes < _WARNED * _reserved_inodes(room):
        return f"only {room.inodes} inodes are free on this disk"
    return None


def _reserved_inodes(room: Room) -> int:
    return min(_RESERVED_INODES, room.all_inodes // _RESERVED_SHARE)
