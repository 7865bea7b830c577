"""The index made from the logs: it has what it had, whatever happened to it, and within the same bounds."""

import shutil
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from collector.dedup.generations import all_logs, read_entry
from collector.dedup.layout import Place
from collector.dedup.store import IndexStore
from collector.dedup.windows import Window
from tests.collector.dedup.indexes import (
    BOUNDS,
    HOUR,
    LOG,
    NOW,
    claim,
    knows,
    open_log,
    read_logs,
    record,
    worker,
    write,
)
from tests.crash.event_ids import empty
from tests.wal.logs import damage, segments


def _contents(store: IndexStore) -> list[tuple[bytes, int, int]]:
    """Each id, oldest first, with its time and sequence."""
    with store.transaction() as txn:
        keys = [key for _, key in txn.cursor(store.order)]
        found = [(key, read_entry(store, txn, key)) for key in keys]
    return [(key, entry.time_ms, entry.sequence) for key, entry in found if entry]


def test_an_index_that_is_lost_is_made_again_as_it_was(store: IndexStore, tmp_path: Path) -> None:
    logs = [open_log(tmp_path / "log" / name) for name in ("00", "01")]
    indexes = [worker(store, log.log_id) for log in logs]
    for index in indexes:
        read_logs(index, tmp_path / "log")
    for at in range(60):
        log, index = logs[at % 2], indexes[at % 2]
        claim(index, str(at), log.end.sequence, NOW + at)
        write(log, [None, str(at)] if at % 3 else [str(at)], NOW + at)
    before = [(key, ms) for key, ms, _ in _contents(store)]
    empty(store)
    again = worker(store, logs[0].log_id, logs[0].end.sequence)
    assert read_logs(again, tmp_path / "log", now_ms=NOW + 60) == (60, ())
    assert [(key, ms) for key, ms, _ in _contents(store)] == before
    assert claim(again, "1", 9, NOW + 60) == Place(logs[1].log_id, 2, 2, is_durable=True)
    for log in logs:
        log.close()


def test_only_the_member_of_the_record_counts_and_relayed_records_do_not(store: IndexStore, tmp_path: Path) -> None:
    log = open_log(tmp_path / "log/00")
    log.commit(record(LOG, 1, "relayed") + record(log.log_id, 2, None) + record(log.log_id, 3, "\\u00e9\\\\"), 3)
    log.commit(b'{"no":"record","event_id":"x"}\n', 1)
    index = worker(store)
    assert read_logs(index, tmp_path / "log").added == 1
    assert knows(index, "é\\")
    assert not any(knows(index, name) for name in ("relayed", "in-the-event", "x"))
    log.close()


def test_each_event_is_remembered_as_long_as_its_way_in_demands(store: IndexStore, tmp_path: Path) -> None:
    log = open_log(tmp_path / "log/00")
    write(log, ["a"], NOW - HOUR)
    write(log, ["b"], NOW - HOUR, "segment")
    write(log, ["c"], NOW - HOUR + 1)
    write(log, ["d"], NOW - 2 * HOUR, "segment")
    index = worker(store)
    assert read_logs(index, tmp_path / "log").added == 2
    assert [claim(index, name, 1, NOW, 2 * HOUR) is not None for name in "abcd"] == [False, True, True, False]
    log.close()


def test_the_last_block_of_a_live_log_is_waited_for_and_those_before_are_durable(
    store: IndexStore, tmp_path: Path
) -> None:
    log = open_log(tmp_path / "log/00")
    write(log, ["a"])
    write(log, ["b"])
    index = worker(store)
    read_logs(index, tmp_path / "log")
    places = [claim(index, name, 1) for name in "ab"]
    assert [place and place.is_durable for place in places] == [True, False]
    log.mark_idle()
    read_logs(index, tmp_path / "log")
    assert claim(index, "b", 1) == Place(log.log_id, 2, 2, is_durable=True)
    log.close()


def test_a_second_catch_up_reads_what_is_new_alone(store: IndexStore, tmp_path: Path) -> None:
    log = open_log(tmp_path / "log/00")
    write(log, ["a"])
    index = worker(store)
    read_logs(index, tmp_path / "log")
    write(log, ["b"])
    write(log, [])
    assert read_logs(index, tmp_path / "log").added == 2  # the last block may not have been fsynced
    assert read_logs(index, tmp_path / "log").added == 0
    log.close()


def test_a_block_that_is_being_written_is_left_for_later(store: IndexStore, tmp_path: Path) -> None:
    log = open_log(tmp_path / "log/00")
    write(log, ["a"])
    log.close()
    (segment,) = segments(str(tmp_path / "log/00"))
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-200])
    index = worker(store)
    assert read_logs(index, tmp_path / "log") == (0, ())
    segment.write_bytes(whole)
    assert read_logs(index, tmp_path / "log").added == 1


def test_the_newest_ids_are_kept_where_there_is_no_room_for_all(store: IndexStore, tmp_path: Path) -> None:
    logs = [open_log(tmp_path / "log" / name) for name in ("00", "01")]
    for at in range(40):
        write(logs[at % 2], [str(at)], NOW + at)
    index = worker(store, bounds=BOUNDS._replace(entries=10))
    read_logs(index, tmp_path / "log", now_ms=NOW + 40)
    assert [ms - NOW for _, ms, _ in _contents(store)] == list(range(30, 40))
    for log in logs:
        log.close()


def test_older_segments_are_not_read_once_the_index_is_full(store: IndexStore, tmp_path: Path) -> None:
    for at in range(5):
        log = open_log(tmp_path / "log/00", NOW + at)
        write(log, [f"{at}-{number}" for number in range(10)], NOW + at)
        log.close()
    damage(segments(str(tmp_path / "log/00"))[0], 400)
    index = worker(store, bounds=BOUNDS._replace(entries=10))
    assert read_logs(index, tmp_path / "log", now_ms=NOW + 5).added == 10
    assert knows(index, "4-0", NOW + 5)


def test_segments_that_ended_before_the_window_are_not_read(store: IndexStore, tmp_path: Path) -> None:
    for ms in (NOW - 9 * HOUR, NOW - 8 * HOUR, NOW - HOUR):
        log = open_log(tmp_path / "log/00", ms)
        write(log, [str(ms)], NOW - 1)  # of a time by which they would be remembered
        log.close()
    assert read_logs(worker(store), tmp_path / "log").added == 2


@pytest.mark.parametrize("grown", [Window(3 * HOUR, 0), Window(0, 3 * HOUR)])
def test_a_window_that_grows_remembers_what_is_in_the_logs_already(
    store: IndexStore, tmp_path: Path, grown: Window
) -> None:
    log = open_log(tmp_path / "log/00", NOW - 2 * HOUR)
    write(log, ["a"], NOW - 2 * HOUR, "segment" if grown.dialect_ms else None)
    index = worker(store, log.log_id, log.end.sequence)
    assert read_logs(index, tmp_path / "log", {(1, 2): Window(HOUR, 0)}).added == 0
    index.publish(log.end.sequence)
    assert read_logs(index, tmp_path / "log", {(1, 2): grown}).added == 1
    log.close()


def test_a_worker_with_the_old_windows_hides_nothing_from_one_with_the_new(store: IndexStore, tmp_path: Path) -> None:
    old_windows, new_windows = {(1, 2): Window(0, 0)}, {(1, 2): Window(HOUR, 0)}
    log = open_log(tmp_path / "log/00")
    old = worker(store, log.log_id)
    read_logs(old, tmp_path / "log", old_windows)
    new = worker(store)
    read_logs(new, tmp_path / "log", new_windows)
    write(log, ["a"])  # not claimed
    old.publish(log.end.sequence)
    assert read_logs(old, tmp_path / "log", new_windows).added == 1
    log.close()


def test_a_new_property_has_nothing_to_be_read(store: IndexStore, tmp_path: Path) -> None:
    index = worker(store)
    read_logs(index, tmp_path / "log", {(1, 2): Window(HOUR, 0)})
    epoch = index.epoch
    read_logs(index, tmp_path / "log", {(1, 2): Window(HOUR, 0), (1, 3): Window(HOUR, HOUR)})
    assert index.epoch == epoch


def test_a_restored_log_frees_the_ids_that_it_does_not_hold(store: IndexStore, tmp_path: Path) -> None:
    log = open_log(tmp_path / "log/00")
    index = worker(store, log.log_id)
    for sequence, name in enumerate("abcd", 1):
        claim(index, name, sequence)
        write(log, [name])
        index.publish(sequence + 1)
        if name == "b":
            shutil.copytree(tmp_path / "log/00", tmp_path / "copy", symlinks=True)
    log.close()
    shutil.rmtree(tmp_path / "log/00")
    shutil.move(tmp_path / "copy", tmp_path / "log/00")
    other = worker(store)
    read_logs(other, tmp_path / "log")
    assert [knows(other, name) for name in "abcd"] == [True, True, False, False]


def test_a_log_that_is_gone_takes_its_ids_along(store: IndexStore, tmp_path: Path) -> None:
    log = open_log(tmp_path / "log/00")
    index = worker(store, log.log_id)
    claim(index, "a", 1)
    write(log, ["a"])
    index.publish(2)
    log.close()
    shutil.rmtree(tmp_path / "log")
    other = worker(store)
    read_logs(other, tmp_path / "log")
    assert not knows(other, "a")
    with store.transaction() as txn:
        assert log.log_id not in all_logs(store, txn)


def test_a_copy_beside_the_logs_is_reported_and_harms_nothing(store: IndexStore, tmp_path: Path) -> None:
    log = open_log(tmp_path / "log/00")
    shutil.copytree(tmp_path / "log/00", tmp_path / "log/01", symlinks=True)
    shutil.copytree(tmp_path / "log/00", tmp_path / "log/00.bak", symlinks=True)
    index = worker(store, log.log_id)
    claim(index, "a", 1)
    write(log, ["a"])
    index.publish(2)
    found = read_logs(index, tmp_path / "log")
    assert found.faults == (f"{tmp_path}/log/01: a copy of another log here; move it out of this folder",)
    assert claim(index, "a", 2) == Place(log.log_id, 1, 1, is_durable=True)
    log.close()


def test_a_damaged_log_gives_what_it_has_and_forgets_nothing(store: IndexStore, tmp_path: Path) -> None:
    log = open_log(tmp_path / "log/00")
    index = worker(store, log.log_id)
    for name in "abc":
        write(log, [name])
    claim(index, "d", 4)
    write(log, ["d"])
    index.publish(5)
    log.close()
    (segment,) = segments(str(tmp_path / "log/00"))
    damage(segment, segment.read_bytes().index(b'"event_id":"b"') + 13)
    empty(store)
    assert read_logs(worker(store), tmp_path / "log").added == 3


def test_a_thread_may_catch_up_while_another_one_claims(store: IndexStore, tmp_path: Path) -> None:
    log = open_log(tmp_path / "log/00")
    for start in range(0, 2000, 200):
        write(log, [str(at) for at in range(start, start + 200)])
    index = worker(store)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_logs, index, tmp_path / "log")
        claimed = 0
        while not reading.done():
            assert claim(index, f"own{claimed}", claimed) is None
            claimed += 1
            wait([reading], 0.001)
        assert reading.result().added == 2000
    assert claimed > 0
    assert index.stats(NOW).entries == 2000 + claimed
    log.close()
