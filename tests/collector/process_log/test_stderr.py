"""A reader of stderr that stalls holds up nobody, and misses no line that is not counted."""

import subprocess
import sys
from subprocess import PIPE
from typing import Any

import msgspec
import pytest

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
