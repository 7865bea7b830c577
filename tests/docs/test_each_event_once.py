"""The recipes of docs/guides/each-event-once.md: copies that two nodes took count once, however they are read."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import pytest

from collector.ship.batch import Batch, Part
from collector.ship.sinks import Sink
from collector.ship.sinks.file import FileSink, FileSinkSettings
from collector.ship.sinks.kafka.settings import KafkaSinkSettings
from collector.ship.sinks.kafka.sink import KafkaSink
from tests.collector.ship.batches import ELEVEN_MS, LOG_ID, record
from tests.docs.pages import page
from tests.kafka.mock import MockCluster
from tests.running import eventually

_BLOCKS = page("guides/each-event-once.md").blocks
_OTHER_LOG_ID = "fedcba9876543210"
_COPY = b'"event_id":"e-1",'
_ELSEWHERE = record(3, ids=_COPY).replace(b'"prop_id":2', b'"prop_id":3')
_LOOKS_LIKE_A_RECORD = record(5, ids=b'"event_id":"%b-4",' % LOG_ID.encode())
_NORTH = [record(1, ids=_COPY), record(2, ids=b'"event_id":"e-2",'), _ELSEWHERE, record(4), _LOOKS_LIKE_A_RECORD]
_SOUTH = [record(1), record(2, ids=_COPY), record(3, ids=_COPY), record(4)]
_FIRST = 1
"""The sequence of the copy of e-1 that was received first."""
_EACH = len(_NORTH) + 2
"""Events that are no copies: of the south the two without an id."""


def _batch(log_id: str, lines: list[bytes], first: int = 1) -> Batch:
    payload = b"".join(lines).replace(b'"id":"' + LOG_ID.encode(), b'"id":"' + log_id.encode())
    last = first + len(lines) - 1
    return Batch(log_id, f"{log_id}:{first}", (Part(ELEVEN_MS, first, last, payload),))


def _deliver(sink: Sink, batch: Batch) -> None:
    async def run() -> None:
        try:
            await sink.open(batch.log_id, batch.first)
            await sink.deliver(batch)
        finally:
            await sink.close()

    asyncio.run(run())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of two nodes, of both kinds."""
    for log_id, lines in ((_OTHER_LOG_ID, _SOUTH), (LOG_ID, _NORTH)):
        _deliver(FileSink(FileSinkSettings(dir=str(tmp_path / "events")), "file"), _batch(log_id, lines))
        columns = FileSinkSettings(dir=str(tmp_path / "columns"), format="parquet")
        _deliver(FileSink(columns, "columns"), _batch(log_id, lines))
    return tmp_path


@pytest.mark.parametrize("reader", ["read_ndjson", "read_parquet"])
def test_each_event_in_the_files_of_two_nodes_counts_once_and_the_first_copy_stays(folder: Path, reader: str) -> None:
    (query,) = (block.text for block in _BLOCKS if block.language == "sql" and reader in block.text)
    with duckdb.connect() as connection:
        connection.execute(f"SET file_search_path = '{folder}'")
        assert connection.execute(query).fetchall() == [("view", _EACH)]
        inner = query.partition("FROM (")[2].rpartition(")\nGROUP BY")[0]
        rows = connection.execute(f"SELECT id FROM ({inner}) WHERE event_id = 'e-1' AND prop_id = 2").fetchall()
        assert rows == [(f"{LOG_ID}-{_FIRST}",)]


@contextmanager
def _consumer(folder: Path) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "once.py"], cwd=folder) as process:
        try:
            yield
        finally:
            process.kill()


def _keys(folder: Path) -> set[bytes]:
    """The keys of the consumer's table; it may not be made yet."""
    with closing(sqlite3.connect(folder / "events.db")) as table:
        try:
            return {key for (key,) in table.execute("SELECT key FROM events")}
        except sqlite3.OperationalError:
            return set()


def test_a_consumer_that_is_killed_has_each_event_of_two_nodes_once(tmp_path: Path) -> None:
    (program,) = (block.text for block in _BLOCKS if block.title == "once.py")
    with closing(MockCluster("events.web", "tracklog.cursors")) as cluster:
        (tmp_path / "once.py").write_text(program.replace("127.0.0.1:9092", cluster.address))
        settings = KafkaSinkSettings(brokers=(cluster.address,), key="event_id")
        with _consumer(tmp_path):
            _deliver(KafkaSink(settings, "kafka"), _batch(LOG_ID, _NORTH))
            eventually(lambda: len(_keys(tmp_path)) == len(_NORTH), "the events of the first node")
        _deliver(KafkaSink(settings, "kafka"), _batch(_OTHER_LOG_ID, _SOUTH))
        with _consumer(tmp_path):
            eventually(lambda: len(_keys(tmp_path)) >= _EACH, "those of the second node that are no copies")
            last = record(9, ids=b'"event_id":"last",')
            _deliver(KafkaSink(settings, "kafka"), _batch(LOG_ID, [last], first=len(_NORTH) + 1))
            eventually(lambda: b"33167.2/last" in _keys(tmp_path), "an event after all copies")
    assert len(_keys(tmp_path)) == _EACH + 1
    with closing(sqlite3.connect(tmp_path / "events.db")) as table:
        ((kept,),) = table.execute("SELECT record FROM events WHERE key = ?", [b"33167.2/e-1"]).fetchall()
    assert kept + b"\n" == _NORTH[0]
