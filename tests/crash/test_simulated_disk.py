"""The simulated disk itself: what a crash may take from it, and what it never may."""

from random import Random

import pytest

from tests.crash.simulated_disk import Fault, PowerCut, SimulatedFiles
from tests.crash.simulated_storage import SECTOR, Disk
from wal.errors import LogLocked
from wal.files import read_file, write_all, write_file

_OLD, _NEW = b"o" * SECTOR, b"n" * 3 * SECTOR


@pytest.fixture(params=[True, False], ids=["with a journal", "without"])
def files(request: pytest.FixtureRequest) -> SimulatedFiles:
    disk = SimulatedFiles(Random(0), Disk(is_journaled=request.param))
    disk.make_directory("/d")
    return disk


def test_of_bytes_that_nothing_has_synced_any_sectors_may_be_left(files: SimulatedFiles) -> None:
    descriptor = files.create("/d/a")
    write_all(files, descriptor, [_OLD])
    files.sync(descriptor)
    files.sync_directory("/d")
    write_all(files, descriptor, [_NEW])
    images = {read_file(files.crash(Random(seed)), "/d/a") for seed in range(500)}
    assert all(image.startswith(_OLD) for image in images)
    hole, whole = bytes(SECTOR), b"n" * SECTOR
    assert {_OLD, _OLD + _NEW, _OLD + hole + whole + whole, _OLD + hole * 3} <= images
    assert any(len(image) % SECTOR for image in images), "a size needs no whole sectors"


def test_a_synced_name_survives_and_another_may(files: SimulatedFiles) -> None:
    write_file(files, "/d/a", _OLD)
    write_all(files, files.create("/d/b"), [_NEW])
    images = [files.crash(Random(seed)) for seed in range(50)]
    assert {tuple(image.names("/d")) for image in images} == {("a",), ("a", "b")}
    assert {read_file(image, "/d/a") for image in images} == {_OLD}


def test_a_rename_is_done_or_not(files: SimulatedFiles) -> None:
    for content in (_OLD, _NEW):
        descriptor = files.create("/d/a.tmp")
        write_all(files, descriptor, [content])
        files.sync_all(descriptor)
        files.sync_directory("/d")
        files.rename("/d/a.tmp", "/d/a")
    images = [files.crash(Random(seed)) for seed in range(50)]
    found = {(tuple(image.names("/d")), read_file(image, f"/d/{image.names('/d')[0]}")) for image in images}
    assert found == {(("a", "a.tmp"), _OLD), (("a",), _NEW)}


def test_names_are_lost_out_of_order_only_without_a_journal(files: SimulatedFiles) -> None:
    for name in ("a", "b"):
        files.create(f"/d/{name}")
    images = {tuple(files.crash(Random(seed)).names("/d")) for seed in range(100)}
    assert (("b",) in images) == (not files.disk.is_journaled)


def test_a_kill_loses_nothing_and_lets_go_of_the_lock(files: SimulatedFiles) -> None:
    files.lock("/d/LOCK")
    with pytest.raises(LogLocked):
        files.lock("/d/LOCK")
    write_all(files, files.create("/d/a"), [_NEW])
    following = files.kill()
    assert read_file(following, "/d/a") == _NEW
    following.lock("/d/LOCK")
    with pytest.raises(PowerCut):
        files.names("/d")


def test_behind_a_failed_sync_the_next_one_says_well_and_the_bytes_may_be_zeros(files: SimulatedFiles) -> None:
    seen = set()
    for seed in range(50):
        files.random.seed(seed)
        descriptor = files.create(f"/d/{seed}")
        write_all(files, descriptor, [_NEW])
        files.faults = [Fault("sync", 1, 5)]
        with pytest.raises(OSError, match="Input/output error"):
            files.sync(descriptor)
        files.sync(descriptor)
        assert files.read(descriptor, len(_NEW), 0) == _NEW, "the page cache still has them"
        files.forget_cache(descriptor)
        seen.add(files.read(descriptor, len(_NEW), 0))
    assert {_NEW, bytes(len(_NEW))} <= seen


def test_a_crash_comes_at_the_call_that_was_told(files: SimulatedFiles) -> None:
    files.crash_at = files.calls + 2
    descriptor = files.create("/d/a")
    with pytest.raises(PowerCut):
        write_all(files, descriptor, [_NEW])
    assert _NEW.startswith(read_file(files.kill(), "/d/a"))


def test_a_write_that_finds_no_room_is_short_and_then_fails(files: SimulatedFiles) -> None:
    files.disk.capacity = SECTOR
    descriptor = files.create("/d/a")
    assert files.write(descriptor, [_NEW]) == SECTOR
    with pytest.raises(OSError, match="No space left"):
        files.write(descriptor, [_NEW])
    assert files.room("/d").bytes == 0
