"""A reader of stderr that stalls holds up nobody, and misses no line that is not counted."""

import logging
import os
import resource
import subprocess
import sys
from subprocess import PIPE
from typing import Any

import msgspec
import pytest

from collector.process_log.lines import JsonLines
from collector.process_log.of_processes import StartWarning
from collector.process_log.stderr import StderrHandler
from tests.running import PATIENCE_SECONDS

_PROGRAM = """
import sys
from collector.process_log import stderr
from collector.process_log.of_processes import StartWarning
from collector.process_log.output import set_up
from collector.process_log.repeats import Repeats

stderr._LAST_SECONDS = 60.0
Repeats.filter = lambda *_: True
set_up("json", "info")
for number in range(int(sys.argv[1])):
    StartWarning(f"{number} " + "x" * int(sys.argv[2])).write()
print("written", flush=True)
sys.stdin.readline()
StartWarning("last").write()
"""


def _lines(count: int, length: int) -> list[dict[str, Any]]:
    """What a process writes while nobody reads, and one line more once its end is awaited."""
    command = [sys.executable, "-c", _PROGRAM, str(count), str(length)]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(command, env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"written\n", "it does not wait for a reader"
        _, found = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    return [msgspec.json.decode(line) for line in found.splitlines()]


@pytest.mark.parametrize(("count", "length"), [(3, 10), (2000, 100), (50, 7000)])
def test_lines_that_nobody_reads_yet_come_whole_and_in_order_when_somebody_does(count: int, length: int) -> None:
    lines = _lines(count, length)
    assert [line["warning"].split()[0] for line in lines] == [*map(str, range(count)), "last"]


def test_lines_beyond_a_mebibyte_are_left_out_and_counted() -> None:
    lines = _lines(2000, 1000)
    assert len(lines) < 1500
    assert lines[-1]["warning"] == "last"
    assert len(lines) + sum(line.get("left_out", 0) for line in lines) == 2001


def test_lines_that_a_full_disk_refuses_are_counted_once(capfd: pytest.CaptureFixture[str]) -> None:
    handler = StderrHandler()
    handler.setFormatter(JsonLines())
    ours, handler._descriptor = handler._descriptor, os.open("/dev/full", os.O_WRONLY)
    for _ in range(3):
        handler.handle(_record("lost"))
    os.close(handler._descriptor)
    handler._descriptor = ours
    for text in ("first", "second"):
        handler.handle(_record(text))
    lines = [msgspec.json.decode(line) for line in capfd.readouterr().err.splitlines()]
    assert [(line["warning"], line.get("left_out")) for line in lines] == [("first", 3), ("second", None)]


def test_a_line_is_written_where_the_process_may_have_no_descriptor(capfd: pytest.CaptureFixture[str]) -> None:
    handler = StderrHandler()
    handler.setFormatter(JsonLines())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        handler.handle(_record("written"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    handler.flush()
    assert msgspec.json.decode(capfd.readouterr().err)["warning"] == "written"


def _record(warning: str) -> logging.LogRecord:
    return logging.LogRecord("collector", logging.WARNING, "", 0, StartWarning(warning), None, None)
