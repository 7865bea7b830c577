"""The Kafka sink against librdkafka's mock cluster: the least that is tested also where there is no Java."""

import asyncio
from collections.abc import Iterator

import pytest

from collector.errors import BatchRefused, SinkError
from collector.ship.mark import Mark, Resumption
from collector.ship.sinks.kafka.settings import KafkaSinkSettings as Settings
from collector.ship.sinks.kafka.sink import KafkaSink
from tests.collector.ship.batches import ELEVEN_MS, LOG_ID, batch, deliver, part, record
from tests.kafka.mock import MockCluster
from tests.kafka.topics import committed, lines

BATCH = batch(part(ELEVEN_MS, 1, 3), part(ELEVEN_MS + 5, 4))
NEXT = batch(part(ELEVEN_MS + 9, 5, 7))


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """A cluster with one topic of events and the cursors'."""
    made = MockCluster("events.web", "tracklog.cursors")
    try:
        yield made
    finally:
        made.close()


def _sink(cluster: MockCluster, **options: str) -> KafkaSink:
    dotted = {name.replace("_", "."): value for name, value in options.items()}
    return KafkaSink(Settings(brokers=(cluster.address,), options=dotted), "kafka")


def _arrived(cluster: MockCluster) -> list[bytes]:
    return [line + b"\n" for line in lines(cluster.address, "events.")]


def test_the_same_batches_again_are_there_once(cluster: MockCluster) -> None:
    deliver(_sink(cluster), BATCH, BATCH)
    assert deliver(_sink(cluster), BATCH, NEXT) == 5
    assert _arrived(cluster) == [record(sequence) for sequence in range(1, 8)]
    assert lines(cluster.address, "tracklog.cursors") == [b'{"next":5}', b'{"next":8}']


def test_a_message_has_the_id_of_the_client_as_a_header_and_none_without_one(cluster: MockCluster) -> None:
    identified = part(ELEVEN_MS, 1)._replace(payload=record(1, ids=b'"event_id":"e-1",'))
    deliver(_sink(cluster), batch(identified, part(ELEVEN_MS, 2)))
    headers = [message.headers() for message in committed(cluster.address, "events.")]
    assert headers == [[("event_id", b"e-1")], None]


def test_the_cursor_there_holds_the_chain_and_the_next_open_tells_it(cluster: MockCluster) -> None:
    known = BATCH._replace(parts=(BATCH.parts[0], BATCH.parts[1]._replace(header_crc=0xA1B2C3D)))
    deliver(_sink(cluster), known)
    assert lines(cluster.address, "tracklog.cursors") == [b'{"next":5,"chain":"0a1b2c3d"}']
    where = f"record {LOG_ID}/kafka of topic tracklog.cursors"
    assert _opened(cluster, 1) == Resumption(5, Mark(5, "0a1b2c3d", where))
    assert _opened(cluster, 9) == Resumption(5, Mark(5, "0a1b2c3d", where))


def test_an_event_that_was_refused_counts_in_the_mark(cluster: MockCluster) -> None:
    poison = batch(part(ELEVEN_MS, 5)._replace(payload=b'{"no":"record"}\n', header_crc=0xA1B2C3D))
    deliver(_sink(cluster), BATCH)
    with pytest.raises(BatchRefused, match="no record"):
        deliver(_sink(cluster), poison)
    mark = Mark(6, "0a1b2c3d", f"record {LOG_ID}/kafka of topic tracklog.cursors")
    assert _opened(cluster, 6) == Resumption(6, mark)
    assert _opened(cluster, 5) == Resumption(5, mark), "it is not in the dead letters yet"


def _opened(cluster: MockCluster, sequence: int) -> Resumption:
    async def run() -> Resumption:
        sink = _sink(cluster)
        try:
            return await sink.open(LOG_ID, sequence)
        finally:
            await sink.close()

    return asyncio.run(run())


def test_after_an_outage_it_goes_on_where_it_was(cluster: MockCluster) -> None:
    deliver(_sink(cluster), BATCH)
    cluster.down()
    with pytest.raises(SinkError, match=f"check that {cluster.address} can be reached"):
        deliver(_sink(cluster), NEXT)
    cluster.up()
    assert deliver(_sink(cluster), NEXT) == 5
    assert _arrived(cluster) == [record(sequence) for sequence in range(1, 8)]


def test_an_event_over_the_limit_is_refused_for_good(cluster: MockCluster) -> None:
    large = batch(part(ELEVEN_MS, 1)._replace(payload=record(1, event=b'{"uid":"%b"}' % (b"x" * 4000))))
    with pytest.raises(BatchRefused, match="too large"):
        deliver(_sink(cluster, message_max_bytes="2000"), large)
    assert _arrived(cluster) == []
