"""Whether a disk has room: bytes and inodes, each with a reserve, and what is given up before requests are shed."""

import pytest

from wal.files import Room
from wal.room import Shortage, pressure, refusal, shortage_of, warning

_MIB = 1 << 20
_PLENTY = 1 << 40


def _room(*, free: int = _PLENTY, inodes: int = 10**6, all_inodes: int = 10**7) -> Room:
    return Room(free, inodes, _PLENTY, all_inodes)


@pytest.mark.parametrize(
    ("room", "min_free_bytes", "expected"),
    [
        pytest.param(_room(), 0, Shortage(), id="plenty"),
        pytest.param(_room(free=200 * _MIB), 100 * _MIB, Shortage(), id="twice the reserve"),
        pytest.param(_room(free=200 * _MIB - 1), 100 * _MIB, Shortage(bytes=1), id="one byte less"),
        pytest.param(_room(free=0), 100 * _MIB, Shortage(bytes=200 * _MIB), id="nothing"),
        pytest.param(_room(free=32 * _MIB), 0, Shortage(), id="room for what is allocated next"),
        pytest.param(_room(free=30 * _MIB), 0, Shortage(bytes=2 * _MIB), id="without a reserve of bytes"),
        pytest.param(_room(inodes=512), 0, Shortage(), id="twice the reserve of inodes"),
        pytest.param(_room(inodes=500), 0, Shortage(files=12), id="fewer"),
        pytest.param(_room(inodes=0, all_inodes=0), 0, Shortage(), id="a file system without a limit of inodes"),
        pytest.param(_room(inodes=24, all_inodes=200), 0, Shortage(), id="a file system with few inodes"),
        pytest.param(_room(inodes=20, all_inodes=200), 0, Shortage(files=4), id="few of few"),
    ],
)
def test_what_is_missing(room: Room, min_free_bytes: int, expected: Shortage) -> None:
    assert shortage_of(room, min_free_bytes) == expected


@pytest.mark.parametrize(
    ("room", "min_free_bytes", "expected"),
    [
        pytest.param(_room(free=100), 50, 0.5, id="of bytes"),
        pytest.param(_room(free=0), 50, 50, id="no bytes at all"),
        pytest.param(_room(free=0, inodes=2560), 0, 0.1, id="of inodes"),
        pytest.param(_room(free=100, inodes=512), 80, 0.8, id="the higher one"),
        pytest.param(_room(inodes=0), 0, 256, id="no inodes at all"),
        pytest.param(_room(inodes=0, all_inodes=0), 0, 0, id="no limit of inodes"),
    ],
)
def test_the_pressure_is_what_must_stay_free_as_a_share_of_what_is(
    room: Room, min_free_bytes: int, expected: float
) -> None:
    assert pressure(room, min_free_bytes) == pytest.approx(expected, rel=0.01, abs=0.001)


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (_room(free=1000), None),
        (_room(free=999), "only 999 bytes are free, under the 1000 "),
        (_room(inodes=256), None),
        (_room(inodes=255), "only 255 inodes are free, under the 256 "),
        (_room(inodes=0, all_inodes=0), None),
        (_room(inodes=12, all_inodes=200), None),
        (_room(inodes=11, all_inodes=200), "only 11 inodes are free, under the 12 "),
    ],
)
def test_a_commit_is_refused_below_a_reserve_with_what_is_short_of_what(room: Room, expected: str | None) -> None:
    found = refusal(room, 1000)
    assert found == expected or (found and expected and found.startswith(expected))


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (_room(free=1000), None),
        (_room(free=999), "only 999 bytes are free on this disk"),
        (_room(inodes=1024), None),
        (_room(inodes=1023), "only 1023 inodes are free on this disk"),
    ],
)
def test_what_gets_low_is_warned_of(room: Room, expected: str | None) -> None:
    assert warning(room, 1000) == expected
