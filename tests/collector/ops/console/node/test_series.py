"""The rings of series, and the file that lets an hour of them survive a restart."""

from pathlib import Path

import pytest

from collector.ops.console.node.series import MOST_SERIES, SeriesRing, headroom
from collector.ops.console.node.series_file import SeriesFile


def _filled(ring: SeriesRing, *ticks: int) -> SeriesRing:
    for tick in ticks:
        ring.put(tick, {"stored": float(tick), "request_p99": None})
    return ring


def test_the_last_values_are_there_and_those_before_the_start_are_unknown() -> None:
    ring = _filled(SeriesRing(1, 5), 7, 8)
    assert ring.values("stored", 8, 5) == [None, None, None, 7.0, 8.0]
    assert ring.values("request_p99", 8, 2) == ring.values("absent", 8, 2) == [None, None]
    _filled(ring, *range(9, 20))
    assert ring.values("stored", 19, 5) == [15.0, 16.0, 17.0, 18.0, 19.0]
    assert ring.values("stored", 21, 5) == [17.0, 18.0, 19.0, None, None], "nothing is known of what comes"


def test_a_pause_leaves_a_gap_also_one_that_is_longer_than_the_ring() -> None:
    ring = _filled(SeriesRing(1, 5), 1, 2, 3, 6)
    assert ring.values("stored", 6, 5) == [2.0, 3.0, None, None, 6.0]
    assert _filled(ring, 1000).values("stored", 1000, 5) == [None, None, None, None, 1000.0]


@pytest.mark.parametrize(("back", "left"), [(8, [5.0, 6.0, 7.0, 8.0]), (2, [2.0])])
def test_after_a_step_back_of_the_clock_what_was_later_is_forgotten(back: int, left: list[float]) -> None:
    ring = _filled(SeriesRing(1, 6), *range(1, 11), back)
    assert [value for value in ring.values("stored", back, 6) if value is not None] == left


def test_names_beyond_the_most_get_no_ring() -> None:
    ring = SeriesRing(1, 5)
    ring.put(1, {f"code.{number}": 1.0 for number in range(MOST_SERIES + 9)})
    assert len(ring.names) == MOST_SERIES


def test_the_hour_survives_a_restart_and_series_that_are_gone_make_room(tmp_path: Path) -> None:
    path = str(tmp_path / "series")
    file = SeriesFile(path, SeriesRing(10, 5))
    for tick in range(1, 9):
        file.write(tick, {"stored": float(tick), ("code.a" if tick < 3 else "code.b"): 0.5})
    size = (tmp_path / "series").stat().st_size
    ring = SeriesRing(10, 5)
    SeriesFile(path, ring)
    assert ring.values("stored", 8, 6) == [None, 4.0, 5.0, 6.0, 7.0, 8.0]
    assert ring.names == ("stored", "code.b")
    assert (tmp_path / "series").stat().st_size == size, "it is of fixed size"


def test_a_row_that_is_half_written_is_unknown_and_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "series"
    file = SeriesFile(str(path), SeriesRing(10, 5))
    for tick in range(1, 6):
        file.write(tick, {"stored": float(tick)})
    content = bytearray(path.read_bytes())
    content[-20] ^= 1  # of the row at 4 % 5
    path.write_bytes(content)
    ring = SeriesRing(10, 5)
    SeriesFile(str(path), ring)
    assert ring.values("stored", 5, 5) == [1.0, 2.0, 3.0, None, 5.0]


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\xff" * (64 * 64 + 5 * 528)])
def test_another_file_in_its_place_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "series").write_bytes(content)
    ring = SeriesRing(10, 5)
    file = SeriesFile(str(tmp_path / "series"), ring)
    file.write(3, {"stored": 1.5})
    assert ring.last == 0
    SeriesFile(str(tmp_path / "series"), ring)
    assert ring.values("stored", 3, 1) == [1.5]


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        ([1000.0 - 10 * at for at in range(7)], ("filling", 800)),
        ([1000.0 - 10 * at if at != 3 else None for at in range(7)], ("filling", 800)),
        ([1000.0 + at for at in range(7)], ("level", None)),
        ([1000.0] * 7, ("level", None)),
        ([1000.0 - 10 * at for at in range(3)], ("unknown", None)),
        ([100.0 - 10 * at for at in range(7)], ("full", 0)),
        ([139.0] * 7, ("full", 0)),
        ([100.0 + at for at in range(7)], ("full", 0)),
        ([1e15 - at for at in range(7)], ("level", None)),
        ([], ("unknown", None)),
        ([None] * 7, ("unknown", None)),
    ],
)
def test_the_disk_is_full_when_the_line_through_the_last_hour_says(
    free: list[float | None], expected: tuple[str, int | None]
) -> None:
    assert headroom(next(filter(None, reversed(free)), 1000.0), free, 10, 140.0) == expected
