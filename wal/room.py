"""Whether a file system has the room that a log needs, pure: decides, and touches nothing.

Both bytes and inodes are watched, since a file system that has run out of either takes no new file. A part of both
stays free for cursors, marks and the deletion of segments.
"""

from typing import Final, NamedTuple

from wal.files import Room

_RESERVED_INODES: Final = 256
"""More than a node's cursors, marks and segments under construction are at a time, with their temporary files."""
_RESERVED_SHARE: Final = 16
"""A file system with few inodes keeps one in so many, or it would never serve."""
_WARNED: Final = 4
"""There is a warning at so many times the reserve of inodes."""
_AHEAD: Final = 2
"""Delivered segments are given up at so many times the reserve: before requests are shed, which begins at 1.33."""
_LEAST_BYTES: Final = 32 << 20
"""… and always below this, so that a log without a reserve of bytes finds room for what it allocates next: 16 MiB."""


class Shortage(NamedTuple):
    """What has to become free before the disk is not short any more: bytes, and files (one inode each)."""

    bytes: int = 0
    files: int = 0


NO_SHORTAGE: Final = Shortage()


def shortage_of(room: Room, min_free_bytes: int) -> Shortage:
    """How much is missing; zeros where nothing is."""
    goal = max(_AHEAD * min_free_bytes, _LEAST_BYTES)
    return Shortage(max(0, goal - room.bytes), max(0, _AHEAD * _reserved_inodes(room) - room.inodes))


def pressure(room: Room, min_free_bytes: int) -> float:
    """What must stay free as a share of what is: the higher of bytes and inodes. Above 1 commits are refused."""
    return max(min_free_bytes / max(room.bytes, 1), _reserved_inodes(room) / max(room.inodes, 1))


def refusal(room: Room, min_free_bytes: int) -> str | None:
    """Why commits are refused, and what to do; None where there is room."""
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
    """What gets low; None where nothing does."""
    if room.bytes < warn_free_bytes:
        return f"only {room.bytes} bytes are free on this disk"
    if room.inodes < _WARNED * _reserved_inodes(room):
        return f"only {room.inodes} inodes are free on this disk"
    return None


def _reserved_inodes(room: Room) -> int:
    return min(_RESERVED_INODES, room.all_inodes // _RESERVED_SHARE)
