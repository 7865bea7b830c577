"""What every sink does, the same for all: each event once and in order, whatever dies and however often it comes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bench.kafka.broker import Broker, broker
from bench.kafka.jars import why_not
from bench.processes import started
from tests.collector.ship.batches import record
from tests.collector.ship.shipping import STEPS
from tests.destinations import Destination
from tests.destinations.child import Child
from tests.destinations.clickhouse import ClickHouse, engine
from tests.destinations.files import Files
from tests.destinations.http import HttpReceiver
from tests.destinations.kafka import PROPERTIES, Kafka
from tests.destinations.objects import Bucket, Moto, ObjectsFolder, SeaweedFS
from tests.running import PATIENCE_SECONDS, eventually, read_log
from wal.log import Log

_ROOT = Path(__file__).parents[3]
_SETTINGS = '[log]\nmin_free_bytes = 0\nretain_hours = 0\n[dead_letters]\ndir = "data/dead"\n'
_BLOCK = 20
_BLOCKS = 12
_LONG = pytest.mark.torture
_DESTINATIONS = [
    pytest.param(Files, id="file"),
    pytest.param(lambda folder: Files(folder, "parquet"), id="file, Parquet", marks=_LONG),
    pytest.param(ObjectsFolder, id="objects, a folder", marks=_LONG),
    pytest.param(lambda folder: Bucket(Moto(folder)), id="objects, moto"),
    pytest.param(lambda folder: Bucket(SeaweedFS(folder)), id="objects, SeaweedFS", marks=_LONG),
    pytest.param(HttpReceiver, id="http"),
    pytest.param(lambda folder: HttpReceiver(folder, 'body = "cloudevents"\n'), id="http, CloudEvents", marks=_LONG),
    pytest.param(ClickHouse, id="http, ClickHouse", marks=_LONG),
    pytest.param(Kafka, id="kafka", marks=pytest.mark.skipif(why_not() != "", reason=why_not())),
]
_SERVERS_OFTEN = [
    each if each.id in ("http", "kafka") else pytest.param(*each.values, id=each.id, marks=[*each.marks, _LONG])
    for each in _DESTINATIONS
]


class Shipping:
    """A log with records, and its way to a destination by a process of its own."""

    def __init__(self, folder: Path, destination: Destination) -> None:
        self.folder = folder
        self.destination = destination
        self.lines: list[bytes] = []
        (folder / "collector.toml").write_text(_SETTINGS + destination.toml())

    def fill(self, blocks: int = _BLOCKS, *, poison_at: int | None = None) -> None:
        """Append blocks of records, one of them perhaps with a line that is refused."""
        log = Log(str(self.folder / "data/log/00"))
        for _ in range(blocks):
            lines = [_record(log, at) for at in range(_BLOCK)]
            if poison_at is not None and self.destination.poison:
                lines[poison_at] = self.destination.poison
            log.commit(b"".join(lines), len(lines))
            self.lines += [line[:-1] for line in lines if line != self.destination.poison]
        log.close()

    def started(self, *trap: str) -> "AbstractContextManager[subprocess.Popen[bytes]]":
        """The process that ships, which may die at a step."""
        command = [sys.executable, "-m", "tests.collector.ship.shipping", str(self.folder), *trap]
        return started(command, cwd=_ROOT, stderr=subprocess.DEVNULL)

    def run(self, *trap: str) -> int:
        """Ship until all is there, or death; returns the exit code."""
        with self.started(*trap) as process:
            return process.wait(PATIENCE_SECONDS * 2)

    @property
    def cursor(self) -> Path:
        (path,) = (self.folder / "data/log/00/cursors").glob("*.json")
        return path


def _record(log: Log, at: int) -> bytes:
    sequence = log.end.sequence + at
    source = ("web", "pos")[sequence // 7 % 2]
    return record(sequence, source).replace(b"0123456789abcdef", log.log_id)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Kafka for all tests."""
    with broker(tmp_path_factory.mktemp("kafka"), PROPERTIES) as started:
        yield started


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """A ClickHouse for all tests."""
    with engine(tmp_path_factory.mktemp("clickhouse")) as started:
        yield started


@pytest.fixture(params=_DESTINATIONS)
def shipping(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shipping]:
    """A log to be filled, and each kind of destination."""
    server = {Kafka: "node", ClickHouse: "clickhouse"}.get(request.param)
    where = request.getfixturevalue(server) if server else tmp_path
    destination: Destination = request.param(where)
    try:
        yield Shipping(tmp_path, destination)
    finally:
        destination.close()


def _events(shipping: Shipping) -> list[bytes]:
    """What has arrived, in order; the folders of sources are put in order by what a consumer sorts by too."""
    return sorted(shipping.destination.arrived(), key=_sequence)


def _sequence(line: bytes) -> int:
    return int(line.partition(b'","')[0].rpartition(b"-")[2])


def test_every_event_arrives_once_and_in_order_and_again_nothing_arrives(shipping: Shipping) -> None:
    shipping.fill()
    assert shipping.run() == 0
    arrived = shipping.destination.arrived()
    assert _events(shipping) == shipping.lines
    for source in (b"web", b"pos"):
        assert [line for line in arrived if b'"%b"' % source in line] == [
            line for line in shipping.lines if b'"%b"' % source in line
        ]
    assert shipping.run() == 0
    shipping.fill(1)
    assert shipping.run() == 0
    assert _events(shipping) == shipping.lines


@pytest.mark.parametrize("step", STEPS)
def test_a_death_at_any_step_neither_loses_nor_doubles_an_event(shipping: Shipping, step: str) -> None:
    shipping.fill()
    for number in (1, 2, 1):
        assert shipping.run(step, str(number)) in (-signal.SIGKILL, 0)
        shipping.fill(1)
    assert shipping.run() == 0
    assert _events(shipping) == shipping.lines


def test_deaths_at_any_moment_neither_lose_nor_double_an_event(shipping: Shipping) -> None:
    chance = random.Random(7)
    shipping.fill(40)
    for _ in range(4):
        with shipping.started():
            eventually((shipping.folder / "data/log/00/cursors").exists, "shipping has begun")
            time.sleep(chance.uniform(0, 0.5))
        shipping.fill(2)
    assert shipping.run() == 0
    assert _events(shipping) == shipping.lines


def test_what_is_refused_for_good_alone_becomes_a_dead_letter_and_the_rest_arrives(shipping: Shipping) -> None:
    if shipping.destination.poison is None:
        shipping.fill()
        assert shipping.run() == 0
        assert read_log(shipping.folder / "data/dead") == [], "this sink takes everything"
        return
    shipping.fill(3)
    shipping.fill(1, poison_at=7)
    shipping.fill(3)
    assert shipping.run("behind the delivery", "3") in (-signal.SIGKILL, 0)
    assert shipping.run() == 0
    assert _events(shipping) == shipping.lines
    (letter,) = read_log(shipping.folder / "data/dead")
    assert json.dumps(letter["raw"], separators=(",", ":")).encode() == shipping.destination.poison[:-1]
    assert letter["reason"].startswith(f"{letter['sink']}: ")


@pytest.mark.parametrize("shipping", _SERVERS_OFTEN, indirect=True)
def test_a_sink_that_is_down_gets_everything_later_and_costs_no_memory_meanwhile(shipping: Shipping) -> None:
    shipping.fill(2)
    assert shipping.run() == 0
    shipping.destination.down()
    for _ in range(4):
        shipping.fill(100)
    with shipping.started() as process:
        eventually(lambda: '"state":"up"' not in _health(shipping), "the failure is seen")
        before = _memory(process.pid)
        eventually(lambda: '"state":"down"' in _health(shipping), "it is down")
        assert _memory(process.pid) < before + (8 << 20)
        shipping.destination.up()
        assert process.wait(PATIENCE_SECONDS * 3) == 0
    assert _events(shipping) == shipping.lines


def test_a_cursor_from_an_old_backup_sends_nothing_twice(shipping: Shipping) -> None:
    shipping.fill()
    assert shipping.run() == 0
    backup = shipping.folder / "backup.json"
    shutil.copy(shipping.cursor, backup)
    for _ in range(3):
        shipping.fill(5)
        assert shipping.run() == 0
    shutil.copy(backup, shipping.cursor)
    shipping.fill(2)
    assert shipping.run() == 0
    assert _events(shipping) == shipping.lines


def test_a_restored_log_that_overtakes_its_sink_stops_it_and_says_what_to_do(shipping: Shipping) -> None:
    if not shipping.destination.knows_chain:
        pytest.skip("what it answers holds no chain; docs/guides/clickhouse.md says so")
    log, backup = shipping.folder / "data/log/00", shipping.folder / "backup"
    shipping.fill()
    assert shipping.run() == 0
    shutil.copytree(log, backup, symlinks=True)
    shipping.fill(3)
    assert shipping.run() == 0
    delivered = shipping.lines.copy()
    shutil.rmtree(log)
    shutil.copytree(backup, log, symlinks=True)
    shipping.fill(8)
    for _ in range(2):
        assert shipping.run() == 0
        health = _health(shipping)
        assert '"state":"stopped"' in health
        for words in ("was it restored from a backup", "Set its folder aside", "move the mark away: "):
            assert words in health
    assert _events(shipping) == delivered
    log.rename(shipping.folder / "aside")
    shipping.lines.clear()
    shipping.fill(2)
    assert shipping.run() == 0
    assert sorted(shipping.destination.arrived()) == sorted(delivered + shipping.lines)


def test_a_log_that_was_copied_away_and_back_with_nothing_between_goes_on(shipping: Shipping) -> None:
    log, copy = shipping.folder / "data/log/00", shipping.folder / "copy"
    shipping.fill()
    assert shipping.run() == 0
    shutil.copytree(log, copy, symlinks=True)
    shutil.rmtree(log)
    copy.rename(log)
    shipping.fill(2)
    assert shipping.run() == 0
    assert _events(shipping) == shipping.lines


def _health(shipping: Shipping) -> str:
    paths = list((shipping.folder / "data/log/00/sinks").glob("*.json"))
    return paths[0].read_text() if paths else '"state":"up"'


def _memory(process: int) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
