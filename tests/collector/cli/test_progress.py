"""The line of progress: for a person at a terminal, and for nobody else."""

import sys

import pytest

from collector.cli.progress import progress, progress_of


def test_on_a_terminal_a_text_replaces_the_one_before_and_the_end_clears_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress() as show:
        show("1 event")
        show("2 events")
    assert capsys.readouterr().err == "\r1 event\r2 events\r\x1b[K"


def test_an_error_clears_it_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with pytest.raises(ZeroDivisionError), progress():
        raise ZeroDivisionError
    assert capsys.readouterr().err.endswith("\r\x1b[K")


def test_into_a_file_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as show:
        show("1 event")
    assert capsys.readouterr().err == ""


def test_a_program_gets_a_line_of_json_and_the_next_one_not_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_of(str, as_json=True) as show:
        show({"events": 1})
        show({"events": 2})
    assert capsys.readouterr().out == '{"progress":{"events":1}}\n'


def test_a_person_gets_the_report_as_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress_of(lambda count: f"{count} events", as_json=False) as show:
        show(3)
    assert capsys.readouterr().err.startswith("\r3 events")
