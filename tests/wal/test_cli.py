"""`wal`: what it prints and how it ends, as an operator runs it."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.running import PATIENCE_SECONDS, PROGRAMS, eventually
from tests.wal.logs import FILES, Clock, damage, line, lines, read_blocks, segments
from wal.cursor import Cursor, save_cursor
from wal.format import HEADER_BYTES, Position
from wal.log import Log

_WAL: Final = str(PROGRAMS / "wal")


@pytest.fixture
def log(directory: str, clock: Clock) -> Iterator[Log]:
    """Events 1 to 3 in the first segment, 4 and 5 in the second, which is active."""
    with closing(Log(directory, clock=clock)) as log:
        log.commit(lines([1, 2, 3]), 3)
        clock.ms += 60_000
        log.commit(lines([4, 5]), 2)
        yield log


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([_WAL, *arguments], check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def _printed(*arguments: str) -> str:
    """What a run that ends well prints."""
    done = _run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


class _Follower:
    """`wal tail -f` that writes to a file."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    def expect(self, *numbers: int) -> None:
        """Wait until exactly these events are printed in all."""
        expected = lines(numbers)
        eventually(lambda: len(self._output.read_bytes()) >= len(expected), f"{numbers} are printed")
        assert self._output.read_bytes() == expected


@contextmanager
def _following(folder: Path, *arguments: str) -> Iterator[_Follower]:
    output = folder / "output"
    with output.open("wb") as stdout, subprocess.Popen([_WAL, "tail", "-f", *arguments], stdout=stdout) as process:
        try:
            yield _Follower(process, output)
        finally:
            process.kill()


# cat


def test_a_log_that_never_got_a_segment_has_nothing_to_print(directory: str) -> None:
    with closing(Log(directory)):
        segments(directory)[0].unlink()
        assert _printed("cat", directory) == _printed("tail", directory) == ""


def test_cat_prints_every_event_verbatim_while_the_log_is_written(log: Log, directory: str) -> None:
    assert _printed("cat", directory) == lines([1, 2, 3, 4, 5]).decode()
    log.commit(b'{"n": 6,  "x":"\xc4\x91\\u0111"}\n', 1)
    assert _printed("cat", directory).endswith('{"n": 6,  "x":"đ\\u0111"}\n')


def test_cat_of_a_folder_of_logs_prints_one_after_the_other(log: Log, directory: str, tmp_path: Path) -> None:
    with closing(Log(f"{directory}-2")) as other, closing(Log(f"{directory}-3")):
        other.commit(line(9), 1)
        assert _printed("cat", str(tmp_path)) == lines([1, 2, 3, 4, 5, 9]).decode()


def test_cat_changes_nothing(log: Log, directory: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(directory).rglob("*")}
    for command in ("cat", "ls", "tail"):
        _printed(command, directory)
    assert {path: path.stat().st_mtime_ns for path in Path(directory).rglob("*")} == before


def test_a_pipe_that_closes_ends_cat_without_a_word(log: Log, directory: str) -> None:
    for _ in range(20):
        log.commit(line(7) * 10_000, 10_000)  # more than a pipe holds
    with subprocess.Popen([_WAL, "cat", directory], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == line(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGPIPE


# ls


def test_ls_prints_segments_and_cursors(log: Log, directory: str) -> None:
    save_cursor(FILES, directory, log.log_id, "file", Cursor(Position(1, HEADER_BYTES, 1)))
    save_cursor(FILES, directory, log.log_id, "other", Cursor(log.end))
    first, second = (path.stat().st_size for path in segments(directory))
    title, names, *rows = _printed("ls", directory).splitlines()
    assert title == f"{directory}  log {log.log_id.decode()}"
    assert names.split() == ["segment", "first", "seq", "events", "bytes", "opened"]
    assert [" ".join(row.split()) for row in rows] == [
        f"1 1 3 {first} 2023-11-14T22:13:20+00:00",
        f"2 4 2 {second} 2023-11-14T22:14:20+00:00",
        "cursor file: next seq 1, 5 events behind",
        "cursor other: next seq 6, 0 events behind",
    ]


# tail


@pytest.mark.parametrize(
    ("wanted", "expected"), [(0, []), (1, [5]), (2, [4, 5]), (3, [3, 4, 5]), (5, [1, 2, 3, 4, 5]), (9, [1, 2, 3, 4, 5])]
)
def test_tail_prints_the_last_events_across_segments(
    log: Log, directory: str, wanted: int, expected: list[int]
) -> None:
    assert _printed("tail", "-n", str(wanted), directory) == lines(expected).decode()


def test_tail_prints_ten_events_of_each_log(log: Log, directory: str, tmp_path: Path) -> None:
    with closing(Log(f"{directory}-2")) as other:
        other.commit(lines(range(20, 40)), 20)
        assert _printed("tail", str(tmp_path)) == lines([1, 2, 3, 4, 5, *range(30, 40)]).decode()


def test_tail_follows_a_log_across_rotations(log: Log, directory: str, clock: Clock, tmp_path: Path) -> None:
    with _following(tmp_path, "-n", "2", directory) as follower:
        follower.expect(4, 5)
        for number in range(6, 10):
            log.commit(line(number), 1)
            follower.expect(*range(4, number + 1))
            clock.ms += 60_000
        assert len(segments(directory)) > 4


def test_tail_follows_a_log_across_a_restart_of_its_writer(log: Log, directory: str, tmp_path: Path) -> None:
    with _following(tmp_path, "-n", "1", directory) as follower:
        follower.expect(5)
        log.close()
        with closing(Log(directory)) as again:
            again.commit(line(6), 1)
            follower.expect(5, 6)


def test_tail_follows_every_log_of_a_folder(log: Log, directory: str, tmp_path: Path) -> None:
    with closing(Log(f"{directory}-2")) as other, _following(tmp_path, "-n", "1", str(tmp_path)) as follower:
        follower.expect(5)
        other.commit(line(6), 1)
        follower.expect(5, 6)
        log.commit(line(7), 1)
        follower.expect(5, 6, 7)


def test_ctrl_c_ends_tail_with_its_usual_exit_code(log: Log, directory: str, tmp_path: Path) -> None:
    with _following(tmp_path, directory) as follower:
        follower.expect(1, 2, 3, 4, 5)
        follower.process.send_signal(signal.SIGINT)
        assert follower.process.wait(PATIENCE_SECONDS) == 130


# What is wrong


@pytest.mark.parametrize("command", ["ls", "cat", "tail"])
def test_a_folder_without_a_log_is_a_wrong_call(tmp_path: Path, command: str) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        done = _run(command, str(folder))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"wal: {folder}: no log here, nor in a folder of it; expected a log.json\n"


def test_a_call_without_a_command_or_with_a_wrong_one_prints_the_usage() -> None:
    for arguments in ([], ["dog", "x"], ["cat"], ["tail", "-n", "x", "y"]):
        done = _run(*arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("usage: wal")


def test_help_names_every_command() -> None:
    assert all(f"\n    {command} " in _printed("--help") for command in ("ls", "cat", "tail"))


def test_a_damaged_log_ends_with_1_and_says_where(log: Log, directory: str) -> None:
    block = read_blocks(directory)[1]
    path = segments(directory)[1]
    damage(path, block.header.offset + HEADER_BYTES + 2)
    for command in ("ls", "cat", "tail"):
        done = _run(command, directory)
        assert done.returncode == 1
        assert done.stderr.startswith(f"wal: {path}: at byte {block.header.offset}: expected 2 lines in ")
        assert done.stderr.count("\n") == 1
    assert _run("cat", directory).stdout == lines([1, 2, 3]).decode()


def test_a_damaged_identity_ends_with_1(log: Log, directory: str) -> None:
    Path(directory, "log.json").write_text("{}")
    done = _run("cat", directory)
    assert done.returncode == 1
    assert "log.json: at byte 0: expected" in done.stderr
