"""The three forms of a listing: a table that fits the terminal, lines that a program can split, and JSON."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.terminal import on_terminal
from wal.tools.tables import Column, Row, _line, print_rows

_COLUMNS = (Column("name"), Column("events", is_number=True), Column("last error"))
_HOSTILE = "bad\x1b[2J\n\x9b\u202e\t[bold]\\"
_PROGRAM = """
import sys
from wal.tools.tables import Column, Row, print_rows
columns = (Column("name[/b]\x1b[2J"), Column("events", is_number=True), Column("last error"))
cells = (("a", 7, %r), ("b" * 30, 12345678, "word " * 30))
print_rows(columns, (Row({}, each) for each in cells), as_json=False)
print(*[name for name in sys.modules if name.startswith("rich.")], file=sys.stderr)
"""


def _table(width: int = 80, **environment: str) -> list[str]:
    """The lines of the table on a terminal, without the list of modules after it."""
    command = [sys.executable, "-c", _PROGRAM % _HOSTILE]
    lines = on_terminal(command, width=width, environment=environment).splitlines()
    assert "rich.table" in lines[-1]
    return lines[:-1]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_table_fits_the_terminal_and_loses_no_text(width: int) -> None:
    lines = _table(width)
    assert max(map(len, lines)) <= width
    text = re.sub(r"\s", "", "".join(lines[2:]))
    assert text.count("word") == 30
    assert text.count("b") >= 30
    assert "12345678" in text


def test_the_width_in_columns_counts_more_than_that_of_the_terminal() -> None:
    assert max(map(len, _table(80, COLUMNS="50"))) <= 50


def test_a_table_holds_nothing_that_a_terminal_would_obey_and_no_markup() -> None:
    lines = _table(200)
    assert all(line.isprintable() for line in lines)
    assert "name[/b]\\u001b[2J" in lines[0]
    assert "bad\\u001b[2J\\n\\u009b\\u202e\\t[bold]\\" in lines[2]


def test_heads_are_bold_unless_no_color_is_set() -> None:
    assert not any("\x1b" in line for line in _table())
    assert "\x1b[1m" in _table(NO_COLOR="")[0]
    assert not any("\x1b" in line for line in _table(NO_COLOR="", TERM="dumb"))


def test_a_terminal_of_another_encoding_gets_lines_that_it_can_show() -> None:
    assert all(line.isascii() for line in _table(PYTHONIOENCODING="ascii:backslashreplace"))


def test_a_pipe_gets_lines_of_cells_with_tabs_between_and_rich_is_not_imported() -> None:
    command = [sys.executable, "-c", _PROGRAM % _HOSTILE]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    head, first, second = done.stdout.splitlines()
    assert head.split("\t") == ["name[/b]\\u001b[2J", "events", "last error"]
    assert first.split("\t") == ["a", "7", "bad\\u001b[2J\\n\\u009b\\u202e\\t[bold]\\\\"]
    assert second.split("\t") == ["b" * 30, "12345678", "word " * 30]
    assert done.stderr == "\n"


@given(st.lists(st.text(), min_size=1), st.lists(st.text(), min_size=1))
def test_two_rows_are_the_same_line_only_if_their_cells_are_the_same(one: list[str], other: list[str]) -> None:
    assert (_line(one) == _line(other)) == (one == other)
    assert len(_line(one).splitlines()) <= 1
    assert _line(one).count("\t") == len(one) - 1


def test_json_is_one_object_a_line_that_keeps_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    members = {"name": _HOSTILE + "\x7f", "events": 7, "error": None}
    print_rows(_COLUMNS, [Row(members, ()), Row(members, ())], as_json=True)
    lines = capsys.readouterr().out.splitlines()
    assert list(map(json.loads, lines)) == [members, members]
    assert all(line.isprintable() for line in lines)


def _rows_that_fail() -> Iterator[Row]:
    yield Row({"n": 1}, ("first", 1, ""))
    raise ZeroDivisionError


@pytest.mark.parametrize("as_json", [False, True])
def test_the_rows_before_an_error_are_printed(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    with pytest.raises(ZeroDivisionError):
        print_rows(_COLUMNS, _rows_that_fail(), as_json=as_json)
    assert "1" in capsys.readouterr().out


def test_the_rows_before_an_error_are_printed_on_a_terminal() -> None:
    program = (
        "from tests.wal.tools import test_tables as t\nt.print_rows(t._COLUMNS, t._rows_that_fail(), as_json=False)"
    )
    printed = on_terminal([sys.executable, "-c", program], code=1)
    assert "first" in printed.partition("Traceback")[0]


def test_a_long_listing_is_several_tables_and_lacks_no_row() -> None:
    program = (
        "from wal.tools.tables import Column, Row, print_rows\n"
        "print_rows([Column('number')], (Row({}, [each]) for each in range(2500)), as_json=False)"
    )
    lines = on_terminal([sys.executable, "-c", program]).split()
    assert [int(line) for line in lines if line.isdecimal()] == list(range(2500))
    assert lines.count("number") == 3
