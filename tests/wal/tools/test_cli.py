"""`wal`: what it prints and how it ends, as an operator runs it."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

import wal.damage
from bench.processes import started
from tests.running import PATIENCE_SECONDS, PROGRAMS, eventually
from tests.terminal import on_terminal
from tests.wal.faulty_files import NotPermitted
from tests.wal.logs import FILES, Clock, damage, events, line, lines, segments
from wal.cursor import Cursor
from wal.damage import Damage, Kind, read_ledger
from wal.errors import MissingSegment
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, Position
from wal.log import Log
from wal.tools import cli

_WAL: Final = str(PROGRAMS / "wal")


@pytest.fixture
def log(directory: str, clock: Clock) -> Iterator[Log]:
    """Events 1 to 3 in the first segment, 4 and 5 in the second, which is active."""
    with closing(Log(directory, clock=clock, monotonic=clock.monotonic)) as log:
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
    with output.open("wb") as stdout, started([_WAL, "tail", "-f", *arguments], stdout=stdout) as process:
        yield _Follower(process, output)


# cat


def test_a_log_that_never_got_a_segment_has_nothing_to_print(directory: str) -> None:
    with closing(Log(directory)):
        segments(directory)[0].unlink()
        assert _printed("cat", directory) == _printed("tail", directory) == ""


def test_cat_prints_every_event_verbatim_while_the_log_is_written(log: Log, directory: str) -> None:
    assert _printed("cat", directory) == lines([1, 2, 3, 4, 5]).decode()
    log.commit(b'{"n": 6,  "x":"\xc4\x91\\u0111"}\n', 1)
    assert _printed("cat", directory).endswith('{"n": 6,  "x":"đ\\u0111"}\n')


def test_cat_of_a_folder_of_logs_is_in_order_of_time(log: Log, directory: str, clock: Clock, tmp_path: Path) -> None:
    between = Clock()
    between.ms += 1
    with (
        closing(Log(f"{directory}-2", clock=between, monotonic=between.monotonic)) as other,
        closing(Log(f"{directory}-3")),
    ):
        other.commit(line(8), 1)
        between.ms = clock.ms + 1
        other.commit(line(9), 1)
        assert _printed("cat", str(tmp_path)) == lines([1, 2, 3, 8, 4, 5, 9]).decode()
        assert _printed("tail", "-n", "3", str(tmp_path)) == lines([4, 5, 9]).decode()


@pytest.fixture
def shop(directory: str, clock: Clock) -> str:
    """A log of four records, a minute and a segment apart."""
    with closing(Log(directory, clock=clock, monotonic=clock.monotonic)) as log:
        for number, action in enumerate(["view", "click", "view", "click"], 1):
            log.commit(_RECORD % (number, action.encode(), number), 1)
            clock.ms += 60_000
    return directory


_RECORD: Final = (
    b'{"id":"a-%d","session":{"hits":1},"event":{"ea":"%b","items":[{"id":"p%d"}],"flag":true,"none":null}}\n'
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--where", "ea=click"], [2, 4]),
        (["--where", "event.ea=view", "--where", "items.0.id=p3"], [3]),
        (["--where", "session.hits=1", "--where", "flag=true", "--where", "none=null"], [1, 2, 3, 4]),
        (["--where", "items.9.id=p3"], []),
        (["--where", "ea=cl=ick"], []),
        (["--from-seq", "3"], [3, 4]),
        (["--since", "2023-11-14T22:14:20"], [2, 3, 4]),
        (["--since", "2023-11-14T22:14:20Z", "--until", "2023-11-14T23:16:20+01:00"], [2, 3]),
        (["--since", "1d"], []),
        (["--since", "1d ago"], []),
        (["--since", "1700000060000", "--until", "2023-11-14 22:15:20z"], [2]),
        (["--until", "1.5h", "-n", "3"], [1, 2, 3]),
        (["--until", "1d", "--since", "1.5h", "--until", "1h"], []),
        (["--since", "1700000060000", "--until", "1700000060000"], []),
        (["-n", "0"], []),
        (["-n", "9" * 30], [1, 2, 3, 4]),
    ],
)
def test_cat_prints_the_selected_events(shop: str, options: list[str], expected: list[int]) -> None:
    assert _printed("cat", *options, "--field", "id", shop).split() == [f"a-{number}" for number in expected]


def test_a_number_of_any_length_is_selected_and_printed(directory: str) -> None:
    digits = "9" * 5000
    with closing(Log(directory)) as log:
        log.commit(b'{"ea":"view","n":%b,"m":-1e999}\n' % digits.encode(), 1)
    assert _printed("cat", "--where", "ea=view", "--field", "n", directory) == f"{digits}\n"


def test_tail_counts_the_selected_events(shop: str) -> None:
    assert _printed("tail", "-n", "1", "--where", "ea=view", "--field", "id", shop) == "a-3\n"


def test_fields_are_printed_side_by_side(shop: str) -> None:
    printed = _printed("cat", "-n", "1", "--field", "id", "--field", "items", "--field", "flag", "--field", "no", shop)
    assert printed == 'a-1\t[{"id":"p1"}]\ttrue\tnull\n'


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--since", "yesterday"], "'yesterday' is not a time; expected e.g. 2026-01-31T03:00Z, 10m or Unix ms"),
        (["--until", "1769828400"], "'1769828400' looks like Unix seconds; expected Unix ms"),
        (["--where", "ea"], "'ea' is not a condition; expected e.g. ea=click"),
        (["--where", "=x"], "'=x' is not a condition"),
        (["--until", "1700000000000", "--since", "1700000060000"], "the times end 60000 ms before they begin"),
    ],
)
def test_an_option_that_makes_no_sense_is_explained(shop: str, options: list[str], message: str) -> None:
    done = _run("cat", *options, shop)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("options", "environment", "is_coloured"),
    [([], {}, True), (["--raw"], {}, False), ([], {"NO_COLOR": "1"}, False), ([], {"TERM": "dumb"}, False)],
)
def test_colour_is_for_a_terminal_that_wants_it(
    shop: str, options: list[str], environment: dict[str, str], is_coloured: bool
) -> None:
    ours, theirs = pty.openpty()
    command = [_WAL, "cat", "-n", "1", *options, shop]
    with started(command, stdout=theirs, env={**os.environ, "TERM": "xterm", **environment}) as process:
        assert process.wait(PATIENCE_SECONDS) == 0
    os.close(theirs)
    printed = os.read(ours, 4096)
    os.close(ours)
    assert (b"\x1b[" in printed) == is_coloured
    assert re.sub(rb"\x1b\[\d*m", b"", printed).replace(b"\r\n", b"\n") == _RECORD % (1, b"view", 1)


_HOSTILE: Final = '{"a":"\x1b[2J\x9b\u202e\\u001bđ",\t"b":"1\\t2\\n3"}\n'.encode()
_HOSTILE_ESCAPED: Final = '{"a":"\\u001b[2J\\u009b\\u202e\\u001bđ",\\t"b":"1\\t2\\n3"}\n'.encode()


@pytest.fixture
def hostile(directory: str) -> str:
    """A log of one event that would clear the screen, and turn text around."""
    with closing(Log(directory)) as log:
        log.commit(_HOSTILE, 1)
    return directory


def _on_terminal(*arguments: str, **environment: str) -> bytes:
    """What a run that ends well prints to a terminal."""
    ours, theirs = pty.openpty()
    variables = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", **environment}
    try:
        with subprocess.Popen([_WAL, *arguments], stdout=theirs, stderr=theirs, env=variables) as process:
            assert process.wait(PATIENCE_SECONDS) == 0
        return os.read(ours, 4096).replace(b"\r\n", b"\n")
    finally:
        os.close(theirs)
        os.close(ours)


def test_a_terminal_gets_nothing_that_it_would_obey(hostile: str) -> None:
    assert _on_terminal("cat", hostile) == _HOSTILE_ESCAPED
    assert _on_terminal("tail", hostile) == _HOSTILE_ESCAPED
    coloured = _on_terminal("cat", hostile, NO_COLOR="")
    assert re.sub(rb"\x1b\[3[236]m|\x1b\[0m", b"", coloured) == _HOSTILE_ESCAPED != coloured


def test_a_pipe_and_raw_get_the_bytes_that_are_stored(hostile: str) -> None:
    assert subprocess.run([_WAL, "cat", hostile], check=True, capture_output=True).stdout == _HOSTILE
    assert _on_terminal("cat", "--raw", hostile) == _HOSTILE


def test_values_are_the_same_on_a_terminal_and_in_a_pipe(hostile: str) -> None:
    fields = ["cat", "--field", "b", "--field", "a", hostile]
    expected = "1\\t2\\n3\t\\u001b[2J\\u009b\\u202e\\u001bđ\n"
    assert _printed(*fields) == expected
    assert _on_terminal(*fields).expandtabs() == expected.expandtabs().encode()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_another_encoding_gets_escapes(hostile: str, encoding: str) -> None:
    printed = _on_terminal("cat", "--field", "a", hostile, LC_ALL="C", PYTHONIOENCODING=encoding)
    assert printed == b"\\u001b[2J\\u009b\\u202e\\u001b\\u0111\n"


@pytest.mark.parametrize("command", ["ls", "cat", "verify", "repair"])
def test_the_name_of_a_folder_is_escaped(tmp_path: Path, command: str) -> None:
    folder = str(tmp_path / "\x1b[2J\udcff")
    with closing(Log(folder)) as log:
        log.commit(line(1), 1)
    damage(segments(folder)[0], 2 * HEADER_BYTES + 2)
    done = _run(command, folder)
    assert "\\u001b[2J\\udcff" in done.stdout + done.stderr
    assert all(text.isprintable() for text in (done.stdout + done.stderr).replace("\t", " ").splitlines())


@pytest.mark.parametrize("command", ["cat", "tail"])
def test_events_that_are_not_json_objects_are_counted_once_and_end_nothing(directory: str, command: str) -> None:
    with closing(Log(directory)) as log:
        log.commit(b'nonsense\n{"n":2}\n[3]\n', 3)
        log.commit(b"[" * 100_000 + b"\n", 1)
    warning = (
        f"wal: not JSON objects: 3 events, the first is sequence 1 of {directory}; "
        "--where skips them, --field prints empty columns\n"
    )
    for options, expected in ((["--field", "n"], "\n2\n\n\n"), (["--where", "n=2"], '{"n":2}\n')):
        done = _run(command, *options, directory)
        assert (done.returncode, done.stdout, done.stderr) == (0, expected, warning)
    done = _run(command, directory)
    assert (done.returncode, done.stderr) == (0, "")


def test_cat_changes_nothing(log: Log, directory: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(directory).rglob("*")}
    for command in ("cat", "ls", "tail"):
        _printed(command, directory)
    assert {path: path.stat().st_mtime_ns for path in Path(directory).rglob("*")} == before


def test_a_pipe_that_closes_ends_cat_without_a_word(log: Log, directory: str) -> None:
    for _ in range(20):
        log.commit(line(7) * 10_000, 10_000)  # more than a pipe holds
    with started([_WAL, "cat", directory], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == line(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGPIPE


# cat by id


@pytest.fixture
def identified(directory: str, clock: Clock) -> Iterator[tuple[str, str]]:
    """A log of four events, two in each segment, of which the third was relayed; and the log's id."""
    with closing(Log(directory, clock=clock, monotonic=clock.monotonic)) as log:
        log_id = log.log_id.decode()
        first = b"".join(_identified(log_id, number) for number in (1, 2))
        log.commit(first, 2)
        clock.ms += 60_000
        log.commit(_identified(_RELAYED, 70) + _identified(log_id, 4), 2)
        yield directory, log_id


_RELAYED: Final = "abcdef0123456789"


def _identified(log_id: str, number: int) -> bytes:
    return b'{"id":"%b-%d","event":{"ea":"view"}}\n' % (log_id.encode(), number)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_cat_finds_an_event_by_its_id(identified: tuple[str, str], number: int) -> None:
    directory, log_id = identified
    assert _printed("cat", "--where", f"id={log_id}-{number}", directory) == _identified(log_id, number).decode()
    fields = ("--field", "ea", "--where", "ea=view", "--where", f"id={log_id}-{number}")
    assert _printed("cat", *fields, str(Path(directory).parent)) == "view\n"


def test_cat_finds_an_event_that_was_relayed_from_a_log_that_is_not_here(identified: tuple[str, str]) -> None:
    assert _printed("cat", "--where", f"id={_RELAYED}-70", identified[0]) == _identified(_RELAYED, 70).decode()


def test_cat_by_id_reads_no_other_segment(identified: tuple[str, str]) -> None:
    directory, log_id = identified
    damage(segments(directory)[0], 2 * HEADER_BYTES + 2)
    assert _printed("cat", "--where", f"id={log_id}-4", directory) == _identified(log_id, 4).decode()


def _why_not(directory: str, identifier: str, *options: str) -> str:
    """What stderr says last where an event is not found."""
    done = _run("cat", "--where", f"id={identifier}", *options, directory)
    assert (done.returncode, done.stdout) == (1, "")
    message = done.stderr.splitlines()[-1]
    assert message.startswith(f"wal: no event {identifier}: ")
    return message.partition(f"{identifier}: ")[2]


def test_cat_says_why_an_event_is_not_there(identified: tuple[str, str]) -> None:
    directory, log_id = identified
    assert _why_not(directory, f"{log_id}-9") == f"it is not written yet; the next event of this log is {log_id}-5"
    assert _why_not(directory, f"{log_id}-0") == "the first sequence of a log is 1"
    assert _why_not(directory, f"{log_id}-3") == (
        "the record at this place has another id; a relayed event keeps the id of its first log"
    )
    assert _why_not(directory, f"{log_id}-1", "--where", "ea=click") == (
        "it is there, but not all conditions hold for it"
    )
    assert _why_not(directory, f"{'0' * 16}-1") == (
        f"no log here has the id {'0' * 16}, and no relayed event here has this id"
    )
    damage(segments(directory)[0], 2 * HEADER_BYTES + 2)
    assert _why_not(directory, f"{log_id}-2").startswith("it is damaged: corrupt: ")
    segments(directory)[0].unlink()
    assert _why_not(directory, f"{log_id}-2") == f"retention has deleted it; the oldest is {log_id}-3"


def test_cat_says_that_an_event_was_lost_according_to_the_ledger(identified: tuple[str, str]) -> None:
    directory, log_id = identified
    lost = Damage(Kind.CORRUPT, Position(1, HEADER_BYTES, 1), Position(1, 2 * HEADER_BYTES, 3), "a test")
    damage(segments(directory)[0], 2 * HEADER_BYTES + 2)
    wal.damage.append(LogFolder(FILES, directory), lost)
    assert _why_not(directory, f"{log_id}-2").startswith("it is damaged: segment 1 from byte 148 on is corrupt: ")


def test_cat_of_no_events_says_nothing_about_the_one_that_was_named(identified: tuple[str, str]) -> None:
    assert _printed("cat", "-n", "0", "--where", f"id={identified[1]}-1", identified[0]) == ""


# ls


def test_ls_prints_segments_cursors_and_damage(log: Log, directory: str) -> None:
    LogFolder(FILES, directory).save_cursor("file", Cursor(Position(1, HEADER_BYTES, 1)))
    LogFolder(FILES, directory).save_cursor("other", Cursor(log.end))
    LogFolder(FILES, directory).save_cursor("third", Cursor(log.end))
    damage(Path(directory, "cursors/third.json"), 30)
    wal.damage.append(
        LogFolder(FILES, directory), Damage(Kind.CORRUPT, Position(1, 148, 1), Position(1, 200, 2), "a test")
    )
    first, second = (path.stat().st_size for path in segments(directory))
    behind = first - HEADER_BYTES + second
    log_table, segment_table, cursor_table, damage_table = _tables(directory)
    assert log_table == [["log", "id", "writer"], [directory, log.log_id.decode(), "held"]]
    assert segment_table == [
        ["segment", "first seq", "events", "bytes", "opened (UTC)", "last commit (UTC)", "state"],
        ["1", "1", "3", str(first), "2023-11-14T22:13:20Z", "2023-11-14T22:14:20Z", "damaged"],
        ["2", "4", "2", str(second), "2023-11-14T22:14:20Z", "2023-11-14T22:14:20Z", "active"],
    ]
    assert cursor_table[:3] == [
        ["cursor", "next seq", "events behind", "bytes behind", "batch under way", "fault"],
        ["file", "1", "5", str(behind), "", ""],
        ["other", "6", "0", "0", "", ""],
    ]
    assert cursor_table[3][0] == "third"
    assert cursor_table[3][-1].startswith("damaged: ")
    assert damage_table == [["places in damage.ndjson", "events lost"], ["1", "1"]]


def test_ls_prints_the_same_as_json_one_object_a_line(log: Log, directory: str) -> None:
    LogFolder(FILES, directory).save_cursor("file", Cursor(log.end))
    first, second = (path.stat().st_size for path in segments(directory))
    opened = Clock().ms
    assert list(map(json.loads, _printed("ls", "--json", directory).splitlines())) == [
        {"type": "log", "log": directory, "log_id": log.log_id.decode(), "is_held": True},
        {
            **{"type": "segment", "log": directory, "segment": 1, "first": 1, "events": 3, "bytes": first},
            **{"opened_ms": opened, "last_ms": opened + 60_000, "state": "sealed"},
        },
        {
            **{"type": "segment", "log": directory, "segment": 2, "first": 4, "events": 2, "bytes": second},
            **{"opened_ms": opened + 60_000, "last_ms": opened + 60_000, "state": "active"},
        },
        {
            **{"type": "cursor", "log": directory, "cursor": "file", "next": 6},
            **{"events_behind": 0, "bytes_behind": 0, "token": None},
        },
    ]


def test_ls_on_a_terminal_is_tables_that_fit(log: Log, directory: str) -> None:
    LogFolder(FILES, directory).save_cursor("file", Cursor(log.end))
    printed = on_terminal([_WAL, "ls", directory], width=100).splitlines()
    assert max(map(len, printed)) <= 100
    assert [line.split()[0] for line in printed if " (UTC) " in line or "behind" in line] == ["segment", "cursor"]


def _tables(directory: str) -> list[list[list[str]]]:
    """The cells of each table that `wal ls` prints."""
    return [
        [line.split("\t") for line in table.splitlines()] for table in _printed("ls", directory).split("\n\n") if table
    ]


def test_ls_names_what_is_torn_and_what_is_missing(log: Log, directory: str, clock: Clock) -> None:
    clock.ms += 60_000
    log.commit(line(6), 1)
    log.close()
    segments(directory)[1].unlink()
    with segments(directory)[-1].open("ab") as file:
        file.write(b"torn")
    states = [cells[-1] for cells in _tables(directory)[1][1:]]
    assert states == ["sealed", "missing", "torn"]


def test_ls_counts_the_events_of_a_segment_and_not_those_of_the_lost_one_after_it(
    log: Log, directory: str, clock: Clock
) -> None:
    clock.ms += 60_000
    log.commit(line(6), 1)
    log.close()
    segments(directory)[1].unlink()
    for state in ("missing", "missing, and recorded in damage.ndjson"):
        rows = _tables(directory)[1][1:]
        assert [(row[0], row[2]) for row in (rows[0], rows[2])] == [("1", "3"), ("3", "1")]
        assert rows[0][5] == "2023-11-14T22:13:20Z", "the last commit of its own"
        assert (rows[1][0], rows[1][-1]) == ("2", state)
        _printed("repair", "--apply", directory)


# tail


@pytest.mark.parametrize(
    ("count", "expected"), [(0, []), (1, [5]), (2, [4, 5]), (3, [3, 4, 5]), (5, [1, 2, 3, 4, 5]), (9, [1, 2, 3, 4, 5])]
)
def test_tail_prints_the_last_events_across_segments(log: Log, directory: str, count: int, expected: list[int]) -> None:
    assert _printed("tail", "-n", str(count), directory) == lines(expected).decode()


def test_tail_prints_the_last_ten_events_of_all_logs(log: Log, directory: str, tmp_path: Path) -> None:
    with closing(Log(f"{directory}-2", clock=Clock())) as other:
        other.commit(lines(range(20, 40)), 20)
        assert _printed("tail", str(tmp_path)) == lines([*range(32, 40), 4, 5]).decode()


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
        with closing(Log(f"{directory}-3")) as later:
            later.commit(line(8), 1)
            follower.expect(5, 6, 7, 8)


def test_ctrl_c_ends_tail_with_its_usual_exit_code(log: Log, directory: str, tmp_path: Path) -> None:
    with _following(tmp_path, directory) as follower:
        follower.expect(1, 2, 3, 4, 5)
        follower.process.send_signal(signal.SIGINT)
        assert follower.process.wait(PATIENCE_SECONDS) == 130


# What is wrong


@pytest.mark.parametrize("command", ["ls", "cat", "tail", "verify", "repair"])
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
    commands = ("ls", "cat", "tail", "verify", "repair", "completion")
    assert set(commands) <= set(_printed("--help").split())


@pytest.fixture
def damaged(directory: str, clock: Clock) -> str:
    """Events 1 to 3 are damaged, 4 can be read, the segment of 5 is lost, 6 can be read, and its segment is torn."""
    with closing(Log(directory, clock=clock, monotonic=clock.monotonic)) as log:
        for first, count, pause in ((1, 3, 0), (4, 1, 60_000), (5, 1, 60_000), (6, 1, 0)):
            log.commit(lines(range(first, first + count)), count)
            clock.ms += pause
    damage(segments(directory)[0], 2 * HEADER_BYTES + 2)
    segments(directory)[1].unlink()
    with segments(directory)[-1].open("ab") as file:
        file.write(b"torn")
    return directory


def test_damage_never_hides_other_events(damaged: str) -> None:
    for command in ("cat", "tail"):
        done = _run(command, damaged)
        assert (done.returncode, done.stdout) == (1, lines([4, 6]).decode())
        corrupt, missing = done.stderr.splitlines()
        assert "segment 1 from byte 148 on is corrupt: events 1 to 3 are lost (a payload with another CRC)" in corrupt
        assert "expected segment 2, found no such file; restore it, or run `wal repair`" in missing


def test_damage_at_the_same_place_of_two_logs_is_reported_for_both(damaged: str) -> None:
    shutil.copytree(damaged, f"{damaged}-2")
    for command in ("cat", "tail"):
        found = _run(command, str(Path(damaged).parent)).stderr.splitlines()
        assert [row.split(": ")[2] for row in found if ": corrupt: " in row] == [damaged, f"{damaged}-2"]


def test_verify_says_what_is_damaged_and_where(damaged: str) -> None:
    done = _run("verify", damaged)
    assert done.returncode == 1
    assert [row.partition(":")[0] for row in done.stdout.splitlines()] == ["corrupt", "missing", "torn", damaged]
    found = [json.loads(row) for row in _run("verify", "--json", damaged).stdout.splitlines()]
    assert [(row["type"], row.get("lost")) for row in found] == [
        ("corrupt", 3),
        ("missing", 0),
        ("torn", 0),
        ("summary", None),
    ]
    assert (found[-1]["segments"], found[-1]["events"]) == (2, 2)


def test_verify_reads_a_log_in_the_folder_of_a_log(log: Log, directory: str) -> None:
    inner = f"{directory}/ledger"
    with closing(Log(inner)) as other:
        other.commit(line(1), 1)
    assert [row.partition(":")[0] for row in _printed("verify", directory).splitlines()] == [directory, inner]
    damage(segments(inner)[0], 2 * HEADER_BYTES + 2)
    for path in (directory, str(Path(directory).parent)):
        done = _run("verify", path)
        assert done.returncode == 1
        assert f"corrupt: {inner}: segment 1 " in done.stdout


def test_verify_names_a_folder_that_it_may_not_list(
    log: Log, directory: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, code in (("lost+found", 0), ("unlisted", 1)):
        unlisted = Path(directory).parent / name
        unlisted.mkdir()
        monkeypatch.setattr(cli, "_FILES", NotPermitted(str(unlisted)))
        assert cli.main(["verify", str(unlisted.parent)]) == code
        assert (f"wal: {unlisted}: this user may not list it" in capsys.readouterr().err) == code


def test_verify_finds_nothing_in_a_log_that_is_written(log: Log, directory: str) -> None:
    assert _printed("verify", directory).startswith(f"{directory}: 2 segments, 5 events and ")


def test_verify_finds_a_damaged_cursor_and_one_that_leads_nowhere(log: Log, directory: str) -> None:
    LogFolder(FILES, directory).save_cursor("a", Cursor(Position(9, HEADER_BYTES, 1)))
    LogFolder(FILES, directory).save_cursor("b", Cursor(log.end))
    damage(Path(directory, "cursors/b.json"), 30)
    lost, bad, _ = _run("verify", directory).stdout.splitlines()
    assert lost.startswith("cursor: ")
    assert lost.endswith("cursors/a.json: it is in segment 9, which is missing")
    assert "expected a cursor with its CRC" in bad


def test_a_torn_tail_alone_is_no_damage(log: Log, directory: str) -> None:
    log.close()
    with segments(directory)[-1].open("ab") as file:
        file.write(b"torn")
    assert _printed("verify", directory).startswith("torn: ")


def test_verify_shows_its_progress_on_a_terminal(log: Log, directory: str) -> None:
    ours, theirs = pty.openpty()
    with started([_WAL, "verify", directory], stdout=subprocess.DEVNULL, stderr=theirs) as process:
        assert process.wait(PATIENCE_SECONDS) == 0
    os.close(theirs)
    assert b"#" in os.read(ours, 4096)
    os.close(ours)


def _accounted(damaged: str) -> str:
    """The damage is in the ledger, and the torn tail is cut off."""
    _printed("repair", "--apply", damaged)
    return damaged


def test_damage_that_is_accounted_for_is_reported_and_fails_only_a_strict_check(damaged: str) -> None:
    _accounted(damaged)
    printed = _printed("verify", damaged).splitlines()
    assert [row.partition(":")[0] for row in printed] == [
        "corrupt (recorded)",
        "missing (recorded)",
        damaged,
    ]
    found = [json.loads(row) for row in _printed("verify", "--json", damaged).splitlines()]
    assert [(row["lost"], row["recorded"]) for row in found[:-1]] == [(3, True), (1, True)]
    strict = _run("verify", "--strict", damaged)
    assert (strict.returncode, strict.stdout.splitlines()) == (1, printed)
    for command in ("cat", "tail"):
        done = _run(command, damaged)
        assert (done.returncode, done.stdout) == (0, lines([4, 6]).decode())
        assert [row.partition(": /")[0] for row in done.stderr.splitlines()] == [
            "wal: corrupt (recorded)",
            "wal: missing (recorded)",
        ]


def test_damage_beside_accounted_damage_fails_a_check(damaged: str) -> None:
    damage(segments(_accounted(damaged))[1], 2 * HEADER_BYTES + 2)
    done = _run("verify", damaged)
    assert done.returncode == 1
    assert [row.partition(":")[0] for row in done.stdout.splitlines()] == [
        "corrupt (recorded)",
        "missing (recorded)",
        "corrupt",
        damaged,
    ]
    assert _run("cat", damaged).returncode == 1


def test_a_cursor_in_a_segment_whose_loss_is_accounted_for_fails_only_a_strict_check(damaged: str) -> None:
    _accounted(damaged)
    log_id = LogFolder(FILES, damaged).log_id
    LogFolder(FILES, damaged, log_id).save_cursor("a", Cursor(Position(2, HEADER_BYTES, 5)))
    assert "cursor (recorded): " in _printed("verify", damaged)
    assert _run("verify", "--strict", damaged).returncode == 1


def test_a_ledger_that_cannot_be_read_is_a_finding_and_hides_nothing(log: Log, directory: str) -> None:
    log.close()
    damage(segments(directory)[0], 2 * HEADER_BYTES + 2)
    Path(directory, "damage.ndjson").write_text("nonsense\n")
    done = _run("verify", directory)
    assert done.returncode == 1
    assert [row.partition(":")[0] for row in done.stdout.splitlines()] == ["corrupt", "ledger", directory]
    assert ": 2 segments, 2 events and " in done.stdout


@pytest.mark.parametrize("name", ["log.json", "damage.ndjson"])
@pytest.mark.parametrize("command", ["ls", "verify"])
def test_a_file_of_nothing_but_brackets_is_damaged_and_ends_no_command_with_a_traceback(
    log: Log, directory: str, command: str, name: str
) -> None:
    Path(directory, name).write_text("[" * 100_000)
    done = _run(command, directory)
    assert done.returncode == 1
    assert f"{name}: at byte 0: expected " in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A folder of two logs with an event each. The first has lost its identity."""
    for number in (1, 2):
        with closing(Log(str(tmp_path / f"0{number}"))) as log:
            log.commit(line(number), 1)
    (tmp_path / "01/log.json").write_text("garbage")
    return tmp_path


@pytest.mark.parametrize("command", ["cat", "tail"])
def test_a_log_without_its_identity_hides_no_event_of_another(two: Path, command: str) -> None:
    fault = f"wal: identity: {two}/01: log.json: {two}/01/log.json: at byte 0: expected "
    done = _run(command, str(two))
    assert (done.returncode, done.stdout) == (1, line(2).decode())
    assert done.stderr.startswith(fault)
    log_id = LogFolder(FILES, str(two / "02")).log_id.decode()
    by_id = _run(command, "--where", f"id={log_id}-9", str(two))
    assert (by_id.returncode, by_id.stdout) == (1, "")
    if command == "cat":
        assert f"wal: no event {log_id}-9: it is not written yet" in by_id.stderr


@pytest.mark.parametrize("name", ["log.json", "damage.ndjson"])
def test_ls_prints_a_fault_as_a_row_and_goes_on(two: Path, name: str) -> None:
    if name == "damage.ndjson":
        _printed("repair", "--apply", str(two / "01"))
        (two / "01" / name).write_text("garbage")
    done = _run("ls", "--json", str(two))
    assert (done.returncode, done.stderr) == (1, "")
    rows = [json.loads(row) for row in done.stdout.splitlines()]
    (fault,) = [row for row in rows if row["type"] == "fault"]
    assert fault["log"] == f"{two}/01"
    assert fault["fault"].startswith(f"{two}/01/{name}: at byte 0: expected ")
    assert [row["type"] for row in rows if row["log"] == f"{two}/02"] == ["log", "segment"]
    table = _run("ls", str(two))
    assert f"log\tfault\n{two}/01\t{two}/01/{name}: at byte 0: " in table.stdout
    assert table.returncode == 1


def test_ctrl_c_ends_a_command_that_prints_without_a_word(log: Log, directory: str) -> None:
    for _ in range(20):
        log.commit(line(7) * 10_000, 10_000)  # more than a pipe holds
    with subprocess.Popen([_WAL, "cat", directory], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == line(1)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert (process.stderr.read(), process.wait(PATIENCE_SECONDS)) == (b"", 130)


# repair


def _tree(directory: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(directory).rglob("*") if path.is_file()}


def test_repair_prints_a_plan_and_changes_nothing(damaged: str) -> None:
    Path(damaged, "log.json").unlink()
    Path(damaged, "left.tmp").touch()
    before = _tree(damaged)
    *steps, last = _printed("repair", damaged).splitlines()
    texts = [
        "remove ",
        "restore log.json",
        "segment 2 from byte 0 on is missing",
        "segment 1 from byte 148 on",
        "4 bytes",
    ]
    assert [text for text, step in zip(texts, steps, strict=True) if text in step] == texts
    assert last == "nothing was changed; --apply takes these steps"
    assert _tree(damaged) == before


def test_a_plan_of_a_repair_makes_no_file(damaged: str) -> None:
    Path(damaged, "LOCK").unlink()
    before = _tree(damaged)
    assert "segment 2 from byte 0 on is missing" in _printed("repair", damaged)
    assert _tree(damaged) == before


def test_repair_makes_a_log_open_again(damaged: str) -> None:
    with pytest.raises(MissingSegment):
        Log(damaged)
    Path(damaged, "log.json").unlink()
    _printed("repair", "--apply", damaged)
    assert [entry.lost for entry in read_ledger(LogFolder(FILES, damaged)).entries] == [1, 3]
    with closing(Log(damaged)) as log:
        log.commit(line(7), 1)
    assert events(damaged) == [0, 0, 0, 4, 0, 6, 7]
    assert _printed("repair", damaged).splitlines()[0] == f"{damaged}: nothing to repair"


def test_repair_refuses_while_a_writer_holds_the_log(log: Log, directory: str) -> None:
    for options in ([], ["--apply"]):
        done = _run("repair", *options, directory)
        assert (done.returncode, done.stdout) == (1, "")
        assert "LOCK: held by another process" in done.stderr


def test_a_segment_of_another_log_is_not_repaired_but_explained(log: Log, directory: str) -> None:
    log.close()
    with closing(Log(f"{directory}-2")) as other:
        other.commit(line(9), 1)
    name = segments(directory)[-1]
    name.with_name("seg-0000000003-0000000000000006.ndjson").write_bytes(segments(f"{directory}-2")[0].read_bytes())
    done = _run("repair", "--apply", directory)
    assert done.returncode == 1
    assert "move this log aside" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_identity_ends_with_1(log: Log, directory: str) -> None:
    Path(directory, "log.json").write_text("{}")
    done = _run("cat", directory)
    assert done.returncode == 1
    assert "log.json: at byte 0: expected" in done.stderr
