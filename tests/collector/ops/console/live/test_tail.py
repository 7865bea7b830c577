"""The tail: the newest rows of all logs, counted exactly, whatever happens to the logs."""

import errno
import itertools
import os
import shutil
from pathlib import Path

from collector.ops.console.live.log_tail import START_BYTES
from tests.collector.ops.console.written_node import FIRST_PAYLOAD, USER_IDS_HIDDEN, Node, event, letter, names
from tests.wal.faulty_files import NotPermitted
from tests.wal.logs import damage
from wal.files import Files
from wal.format import HEADER_BYTES

BLOCK_OF_LINES = 100


def test_a_block_is_shown_only_when_a_later_header_proves_it_durable(node: Node) -> None:
    tail = node.tail()
    node.write([event(ea="a")], proven=False)
    assert tail.tick() == ([], 0, 0)
    node.write([event(ea="b"), event(ea="c")], proven=False)
    rows, seen, scanned = tail.tick()
    assert (names(rows), seen, scanned) == (["a"], 1, 1)
    node.log().mark_idle()
    rows, seen, scanned = tail.tick()
    assert (names(rows), seen, scanned) == (["b", "c"], 2, 2)
    assert tail.tick() == ([], 0, 0)


def test_a_block_that_is_being_written_is_awaited(node: Node) -> None:
    node.write([event(ea="a")])
    node.write([event(ea="b")])
    (segment,) = node.segments()
    whole = segment.read_bytes()
    end = whole.rindex(b'["EVB1"') - len(event(ea="b"))
    segment.write_bytes(whole[: end + 20])
    tail = node.tail()
    assert names(tail.tick().rows) == ["a"]
    assert [names(tail.tick().rows) for _ in range(3)] == [[], [], []]
    segment.write_bytes(whole)
    rows, seen, _ = tail.tick()
    assert (names(rows), seen) == (["b"], 1)


def test_rows_have_the_id_that_the_log_gives(node: Node) -> None:
    node.write([event(), event()])
    node.write([letter({"ea": 5})], dead=True)
    log_id, dead_id = node.log().log_id.decode(), node.log(dead=True).log_id.decode()
    assert [row.event_id() for row in node.tail().tick().rows] == [f"{log_id}-1", f"{log_id}-2", f"{dead_id}-1"]


def test_logs_are_merged_by_the_time_of_their_commits(node: Node) -> None:
    for number in range(3):
        node.write([event(ea=f"{number}")], "00")
        node.write([event(ea=f"{number}!")], "01")
        node.write([letter({"ea": f"{number}?"})], dead=True)
    assert names(node.tail().tick().rows) == [f"{number}{mark}" for number in range(3) for mark in ("", "!", "?")]


def test_a_shard_that_appears_later_is_shown_from_its_first_event(node: Node) -> None:
    tail = node.tail()
    assert tail.tick() == ([], 0, 0)
    node.write([event(ea="a")])
    rows, seen, _ = tail.tick()
    assert (names(rows), seen) == (["a"], 1)
    node.write([event(ea="b")], "01")
    rows, seen, _ = tail.tick()
    assert (names(rows), seen) == (["b"], 1)


def test_a_shard_that_another_worker_adopts_goes_on(node: Node) -> None:
    node.write([event(ea="a")])
    tail = node.tail()
    tail.tick()
    node.restart()
    node.write([event(ea="b")])
    rows, seen, _ = tail.tick()
    assert (names(rows), seen) == (["b"], 1)


def test_the_next_segment_proves_the_last_block_of_the_one_before(node: Node) -> None:
    node.write([event(ea="a")])
    tail = node.tail()
    tail.tick()
    node.write([event(ea="b")], proven=False)
    node.clock.ms += 60_000
    node.write([event(ea="c")], proven=False)
    rows, seen, _ = tail.tick()
    assert (names(rows), seen, len(node.segments())) == (["b"], 1, 2)


def test_a_segment_without_events_is_not_taken_for_damage_when_a_viewer_comes_back(node: Node) -> None:
    node.log()
    tail = node.tail()
    for _ in range(3):
        assert tail.tick().rows == []
        tail.close()
    node.write([event(ea="a")])
    node.rotate()
    for expected in (["a"], [], []):
        assert names(tail.tick().rows) == expected
        tail.close()
    node.write([event(ea="b")])
    assert names(tail.tick().rows) == ["b"]


def test_segments_dropped_while_they_are_read_are_passed_and_their_events_counted(node: Node) -> None:
    node.write([event(ea="a")])
    tail = node.tail()
    tail.tick()
    for name in ("b", "c"):
        node.rotate()
        node.write([event(ea=name)])
    for segment in node.segments()[:2]:
        segment.unlink()
    rows, seen, _ = tail.tick()
    assert (names(rows), seen) == (["c"], 2)


def test_a_segment_dropped_between_header_and_payload_is_passed(node: Node) -> None:
    node.write([event(ea="a")])
    node.rotate()
    node.write([event(ea="b")])
    drops = iter([False, True])

    def drop() -> float:
        if next(drops, False):
            node.segments()[0].unlink()
        return 0.0

    tail = node.tail(cpu_clock=drop)
    rows, _, scanned = tail.tick()
    assert (names(rows), scanned) == (["b"], 1)


def test_a_damaged_payload_is_a_row_in_its_place(node: Node) -> None:
    for name in ("a", "b", "c"):
        node.write([event(ea=name)] * 2)
    (segment,) = node.segments()
    at = segment.read_bytes().index(b'"b"')
    damage(segment, at)
    rows, _, scanned = node.tail().tick()
    assert names(rows) == ["a", "a", "corrupt", "c", "c"]
    assert scanned == 4
    assert (rows[2].kind, rows[2].warnings) == ("damaged", 2)
    assert rows[2].event_id() == f"{node.log().log_id.decode()}-3"


def test_a_damaged_header_is_a_row_once_and_the_events_after_it_follow(node: Node) -> None:
    node.write([event(ea="a")])
    tail = node.tail()
    tail.tick()
    (segment,) = node.segments()
    at = segment.stat().st_size
    node.write([event(ea="b")] * 3)
    node.write([event(ea="c")])
    damage(segment, at + HEADER_BYTES - 8)
    found = [tail.tick() for _ in range(4)]
    rows = [row for tick in found for row in tick.rows]
    assert names(rows) == ["corrupt", "c"]
    assert rows[0].warnings == 3
    assert sum(tick.seen for tick in found) == 4, "lost events were in the log"


def test_a_log_that_a_person_must_mend_is_told_once_and_the_others_go_on(node: Node) -> None:
    node.write([event(ea="a")])
    node.write([event(ea="b")], "01")
    tail = node.tail()
    tail.tick()
    node.write([event(ea="still")])
    node.rotate()
    node.write([event(ea="c")])
    shutil.copy(node.segments("01")[0], node.segments()[-1])
    node.write([event(ea="d")], "01")
    ticks = [tail.tick() for _ in range(3)]
    assert sorted(str(name) for tick in ticks for name in names(tick.rows)) == ["d", "foreignlog", "still"]


def test_a_disk_that_fails_is_a_row(node: Node) -> None:
    class Failing(Files):
        def read(self, descriptor: int, length: int, offset: int) -> bytes:
            if offset == FIRST_PAYLOAD:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(descriptor, length, offset)

    node.write([event(ea="a")])
    tail = node.tail()
    tail._files = Failing()
    assert names(tail.tick().rows) == ["unreadable"]


def test_a_folder_that_may_not_be_listed_hides_no_log_after_it(node: Node) -> None:
    node.write([event(ea="a")])
    unlisted = Path(node.log_directory, "-")
    unlisted.mkdir()
    tail = node.tail()
    tail._files = NotPermitted(str(unlisted))
    assert names(tail.tick().rows) == ["a"]


def test_only_the_newest_is_read_within_the_budget_and_all_is_counted(node: Node) -> None:
    node.log()
    clock = itertools.count(0.0, 1.0)
    tail = node.tail(cpu_clock=lambda: next(clock))
    tail.tick()
    for number in range(10):
        node.write([event(ea=f"{number}")])
    rows, seen, scanned = tail.tick(budget=7.0)
    assert (names(rows), seen, scanned) == (["7", "8", "9"], 10, 3), "two looks at the clock a block"
    assert tail.tick() == ([], 0, 0)


def test_a_part_of_a_block_is_read_if_the_budget_ends_in_it(node: Node) -> None:
    node.log()
    clock = itertools.count(0.0, 1.0)
    tail = node.tail(cpu_clock=lambda: next(clock))
    tail.tick()
    node.write([event(ea=f"{number}") for number in range(BLOCK_OF_LINES)])
    rows, seen, scanned = tail.tick(budget=3.0)
    assert (seen, scanned, len(rows)) == (BLOCK_OF_LINES, 64, 64)
    assert names(rows)[-1] == f"{BLOCK_OF_LINES - 1}"


def test_a_log_of_any_length_is_opened_at_its_last_mebibyte(node: Node) -> None:
    class Counting(Files):
        total = 0

        def read(self, descriptor: int, length: int, offset: int) -> bytes:
            data = super().read(descriptor, length, offset)
            self.total += len(data)
            return data

    lines = [event(ea="old", text="x" * 2000)] * 450
    for _ in range(8):
        node.write(lines)
        node.rotate()
    node.write([event(ea="new")])
    length = sum(segment.stat().st_size for segment in node.segments())
    tail = node.tail()
    files = tail._files = Counting()
    rows, seen, _ = tail.tick(budget=10.0)
    assert names(rows)[-1] == "new"
    assert seen == 0, "they were there before"
    assert files.total < 2.5 * START_BYTES < length / 3


def test_a_log_that_grew_while_nobody_looked_goes_on_at_its_end(node: Node) -> None:
    node.log()
    tail = node.tail()
    tail.tick()
    tail.close()
    log = node.log()
    for number in range(5000):
        log.commit(event(ea=f"{number}", text="x" * 1000), 1)
    log.mark_idle()
    rows, seen, scanned = tail.tick(budget=10.0)
    assert seen == 5000
    assert scanned == len(rows) < 1000
    assert names(rows)[-1] == "4999"
    assert names(rows) == [str(number) for number in range(5000 - len(rows), 5000)]


def test_what_is_hidden_is_in_no_row(node: Node) -> None:
    stored, dead = event(uid="secret-1"), letter({"ea": "x", "uid": "secret-2"})
    node.write([stored])
    node.write([dead], dead=True)
    rows = node.tail(redaction=USER_IDS_HIDDEN).tick().rows
    assert [row.uid for row in rows] == ["▒▒▒▒", "▒▒▒▒"]
    assert [row.bytes for row in rows] == [
        len(event(uid="secret-1")) - 1,
        len(letter({"ea": "x", "uid": "secret-2"})) - 1,
    ]


def test_a_folder_that_is_no_log_or_can_not_be_listed_is_passed(node: Node) -> None:
    node.write([event(ea="a")])
    Path(node.log_directory, "control.sock").touch()
    Path(node.log_directory, "empty").mkdir()
    Path(node.letter_directory).touch()
    assert names(node.tail().tick().rows) == ["a"]


def test_reading_writes_nothing(node: Node) -> None:
    node.write([event()])
    before = {path: os.stat(path).st_mtime_ns for path in Path(node.log_directory).rglob("*")}
    node.tail().tick()
    assert {path: os.stat(path).st_mtime_ns for path in Path(node.log_directory).rglob("*")} == before
