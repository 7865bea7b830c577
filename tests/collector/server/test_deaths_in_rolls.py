"""kill -9 of the old or the new worker at each stage of a roll: the node ends with all workers on the new settings."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.collector.server.reloads import EVENT, SETTINGS, SINK, append, pids, status
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, eventually, running

_HALF_A_REQUEST = b"POST /event?portal_id=33167&prop_id=564990801 HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"
_CONNECTIONS = 16
"""So many that each worker has one."""


class _Roll:
    """A roll of two workers, which are called by their places."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self.old = self._in_places()
        append(collector, SINK)
        command = [str(PROGRAMS / "collector"), "reload", "--config", str(collector.folder / "collector.toml")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._seen = set(self.old)

    def successor(self) -> int:
        """The next worker that was started: its pid."""
        found: set[int] = set()

        def is_there() -> bool:
            found.update(pids(self._collector) - self._seen)
            return bool(found)

        eventually(is_there, "a successor starts")
        self._seen |= found
        return found.pop()

    def has_place(self, pid: int) -> None:
        """Return once a worker has a place, and its predecessor stops."""
        eventually(lambda: pid in self._in_places(), "the successor has its place")

    def _in_places(self) -> list[int]:
        return [worker["pid"] for worker in status(self._collector)["workers"]]


def _new_before_it_is_ready(roll: _Roll) -> None:
    roll.successor()
    second = roll.successor()
    _kill(second)


def _old_before_the_new_is_ready(roll: _Roll) -> None:
    roll.successor()
    _kill(roll.old[0])


def _second_old_before_the_new_is_ready(roll: _Roll) -> None:
    roll.has_place(roll.successor())
    _kill(roll.old[1])


def _new_while_the_old_stops(roll: _Roll) -> None:
    successor = roll.successor()
    roll.has_place(successor)
    _kill(successor)


def _old_while_it_stops(roll: _Roll) -> None:
    roll.has_place(roll.successor())
    _kill(roll.old[0])


def _both_while_the_old_stops(roll: _Roll) -> None:
    successor = roll.successor()
    roll.has_place(successor)
    _kill(successor)
    _kill(roll.old[0])


_DEATHS = [
    _new_before_it_is_ready,
    _old_before_the_new_is_ready,
    _second_old_before_the_new_is_ready,
    _new_while_the_old_stops,
    _old_while_it_stops,
    _both_while_the_old_stops,
]


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Two workers, each of which has a client in the middle of a request, so that it takes long to stop."""
    settings = SETTINGS.replace("grace_seconds = 5", "grace_seconds = 3")
    with running(tmp_path, workers=2, settings=settings) as collector, ExitStack() as stack:
        for _ in range(_CONNECTIONS):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", collector.port)))
            client.sendall(_HALF_A_REQUEST)
        yield collector


@pytest.mark.torture
@pytest.mark.parametrize("die", _DEATHS)
def test_a_roll_goes_on_whoever_dies(collector: Collector, die: Callable[[_Roll], None]) -> None:
    assert collector.post(EVENT).status == 200
    roll = _Roll(collector)
    die(roll)
    stdout, _ = roll.process.communicate(timeout=PATIENCE_SECONDS)
    assert (roll.process.returncode, stdout.splitlines()[-1]) == (0, "sink second: added")
    eventually(lambda: len(pids(collector)) == 2 and pids(collector).isdisjoint(roll.old), "two new workers")
    eventually(lambda: {worker["ready"] for worker in status(collector)["workers"]} == {True}, "they are ready")
    for _ in range(20):
        assert collector.post(EVENT).status == 200
    stored = sorted(record["id"] for record in collector.stored())
    for folder in ("data/events", "data/second"):
        eventually(lambda folder=folder: _ids(collector, folder) >= set(stored), f"{folder} has all")
        assert len(collector.shipped(folder)) == len(stored) == 21
    assert "Traceback" not in collector.stderr


def _ids(collector: Collector, folder: str) -> set[str]:
    return {record["id"] for record in collector.shipped(folder)}


def _kill(pid: int) -> None:
    psutil.Process(pid).kill()
