"""The Kafka sink against a real broker: what is committed is there once, whatever came between."""

import asyncio
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from confluent_kafka import KafkaError, Producer

from bench.kafka.broker import Broker, broker
from bench.kafka.jars import why_not
from bench.processes import free_port
from collector.errors import BatchRefused, SinkError
from collector.ship.batch import Batch, slice_batch
from collector.ship.sinks.kafka.faults import KafkaFault
from collector.ship.sinks.kafka.options import options_of
from collector.ship.sinks.kafka.settings import KafkaSinkSettings as Settings
from collector.ship.sinks.kafka.sink import KafkaSink
from collector.ship.sinks.kafka.transactions import Transactions
from tests.collector.ship.batches import ELEVEN_MS, LOG_ID, batch, deliver, part, record
from tests.kafka.admin import grant, make_topic
from tests.kafka.topics import committed, lines

pytestmark = pytest.mark.skipif(why_not() != "", reason=why_not())

_PASSWORD = "only-for-this-test"
_USERS = {"granted": _PASSWORD, "nobody": _PASSWORD}
_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_PROPERTIES = {
    "auto.create.topics.enable": "false",
    "sasl.enabled.mechanisms": "PLAIN",
    "listener.name.sasl_ssl.plain.sasl.jaas.config": (
        f"{_LOGIN} {' '.join(f'user_{name}={password}' for name, password in _USERS.items())};"
    ),
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}
_NUMBERS = count(1)
BATCH = batch(part(ELEVEN_MS, 1, 3), part(ELEVEN_MS + 5, 4))
NEXT = batch(part(ELEVEN_MS + 9, 5, 7))


class Place(NamedTuple):
    """Topics of one test alone."""

    address: str
    topic: str
    cursors: str
    sasl_address: str
    authority: str
    """The file of the certificate that the broker shows."""

    def sink(self, consumer: str = "kafka", **settings: Any) -> KafkaSink:
        """A sink that delivers here."""
        return KafkaSink(self.settings(**settings), consumer)

    def settings(self, **settings: Any) -> Settings:
        defaults = {"brokers": (self.address,), "topic": self.topic, "cursor_topic": self.cursors}
        return msgspec.convert(defaults | settings | {"type": "kafka"}, Settings)

    def as_user(self, name: str, password: str = "env:TRACKLOG_TEST_PASSWORD") -> KafkaSink:
        """A sink that delivers here after a login."""
        login = {"sasl.username": name, "sasl.password": password}
        tls = {"security.protocol": "SASL_SSL", "ssl.ca.location": self.authority}
        options = {**tls, "sasl.mechanism": "PLAIN", **login}
        return self.sink(brokers=(self.sasl_address,), options=options)

    @property
    def arrived(self) -> list[bytes]:
        """Every committed event with its LF."""
        return [line + b"\n" for line in lines(self.address, self.topic)]

    def producer(self, consumer: str = "kafka") -> Producer:
        """Another process's producer, with the id that the sink of this consumer has."""
        name = f"tracklog-{LOG_ID}-{consumer}"
        producer = Producer({"bootstrap.servers": self.address, "transactional.id": name, "log_level": 0})
        producer.init_transactions(30.0)
        producer.begin_transaction()
        return producer


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One broker with a login, rights, and no topic that nobody made."""
    folder = tmp_path_factory.mktemp("kafka")
    keystore = {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(_identity(folder))}
    with broker(folder, _PROPERTIES | keystore) as started:
        yield started


def _identity(folder: Path) -> Path:
    """A key and its certificate in one file; the certificate stands in `authority.pem` beside it too."""
    key, certificate, both = (folder / name for name in ("key.pem", "authority.pem", "identity.pem"))
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    place = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *place], check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both


@pytest.fixture
def place(node: Broker) -> Place:
    """A topic of one partition, and a cursor topic that is not there yet."""
    number = next(_NUMBERS)
    made = Place(
        node.address, f"events-{number}", f"cursors-{number}", node.sasl_address, f"{node.folder}/authority.pem"
    )
    make_topic(node.address, made.topic)
    return made


def _records(*sequences: int) -> list[bytes]:
    return [record(sequence) for sequence in sequences]


def _threads() -> set[Path]:
    """The threads of librdkafka in this process."""
    return {thread for thread in Path("/proc/self/task").iterdir() if _name(thread).startswith("rdk:")}


def _name(thread: Path) -> str:
    try:
        return (thread / "comm").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""  # it ended just now


def test_a_batch_is_there_line_by_line_with_the_cursor_behind_it(place: Place) -> None:
    assert deliver(place.sink(), BATCH, NEXT) == 1
    assert place.arrived == _records(1, 2, 3, 4, 5, 6, 7)
    cursors = [(message.key(), message.value()) for message in committed(place.address, place.cursors)]
    assert cursors[-1] == (f"{LOG_ID}/kafka".encode(), b'{"next":8}')


def test_a_compacted_topic_takes_every_message_with_keys_by_event(place: Place) -> None:
    topic = f"{place.topic}-once"
    make_topic(place.address, topic, cleanup_policy="compact")
    identified = part(ELEVEN_MS, 1)._replace(payload=record(1, ids=b'"event_id":"e-1",'))
    deliver(place.sink(topic=topic, key="event_id"), batch(identified, part(ELEVEN_MS, 2)))
    keys = [message.key() for message in committed(place.address, topic)]
    assert keys == [b"33167.2/e-1", f"{LOG_ID}-2".encode()]


def test_the_same_batch_twice_is_there_once(place: Place) -> None:
    deliver(place.sink(), BATCH, BATCH, NEXT, BATCH)
    assert place.arrived == _records(1, 2, 3, 4, 5, 6, 7)


def test_after_a_crash_before_our_cursor_was_saved_the_sink_says_that_it_has_the_batch(place: Place) -> None:
    deliver(place.sink(), BATCH)
    assert deliver(place.sink(), BATCH, NEXT, sequence=1) == 5
    assert place.arrived == _records(1, 2, 3, 4, 5, 6, 7)


def test_of_a_batch_that_is_there_in_part_the_rest_is_sent(place: Place) -> None:
    deliver(place.sink(), BATCH)
    assert deliver(place.sink(), batch(part(ELEVEN_MS, 3, 6))) == 5
    assert place.arrived == _records(1, 2, 3, 4, 5, 6)


def test_a_cursor_of_ours_that_is_ahead_of_kafka_goes_back(place: Place) -> None:
    deliver(place.sink(), BATCH)
    assert deliver(place.sink(), sequence=100) == 5


def test_with_no_cursor_there_it_goes_on_at_ours(place: Place) -> None:
    assert deliver(place.sink(), batch(part(ELEVEN_MS, 100)), sequence=100) == 100
    assert place.arrived == _records(100)


def test_each_consumer_and_each_log_has_its_own_cursor(place: Place) -> None:
    deliver(place.sink(), BATCH)
    replay = BATCH._replace(replay="april")
    assert deliver(place.sink("kafka.replay.april"), replay, replay) == 1
    assert deliver(place.sink("kafka.replay.april"), replay) == 5
    assert place.arrived == _records(1, 2, 3, 4, 1, 2, 3, 4)


def test_an_older_sink_is_fenced_and_nothing_of_it_arrives(place: Place) -> None:
    async def run() -> None:
        older, newer = place.sink(), place.sink()
        try:
            await older.open(LOG_ID, 1)
            await older.deliver(BATCH)
            assert (await newer.open(LOG_ID, 1)).next == 5
            with pytest.raises(SinkError, match=f"another producer took tracklog-{LOG_ID}-kafka over"):
                await older.deliver(NEXT)
        finally:
            await older.close()
        await newer.deliver(NEXT)
        await newer.close()

    asyncio.run(run())
    assert place.arrived == _records(1, 2, 3, 4, 5, 6, 7)


def test_a_message_that_comes_when_the_producer_is_fenced_already_tells_the_cause(place: Place) -> None:
    settings = place.settings()
    older, newer = (Transactions(options_of(settings), settings.compression) for _ in range(2))
    try:
        older.start(place.topic)
        older.begin()
        newer.start(place.topic)

        def send_until_it_fails() -> None:
            while True:
                older.send(place.topic, b"{}", None, None)
                time.sleep(0.05)

        with pytest.raises(KafkaFault) as caught:
            send_until_it_fails()
        assert "another producer took x over" in str(caught.value.as_sink_error("x", "y", "z"))
    finally:
        older.drop()
        newer.drop()


def test_what_a_dead_predecessor_had_not_committed_is_not_there(place: Place) -> None:
    deliver(place.sink(), BATCH)
    dead = place.producer()
    dead.produce(place.topic, b"half of a batch")
    dead.produce(place.cursors, b'{"next":8}', f"{LOG_ID}/kafka".encode(), 0)
    assert dead.flush(30.0) == 0
    assert deliver(place.sink(), NEXT) == 5
    assert place.arrived == _records(1, 2, 3, 4, 5, 6, 7)


def test_a_cursor_behind_an_open_transaction_of_another_log_is_found_once_that_ends(place: Place) -> None:
    other = place.producer("of-another-log")

    async def run() -> int:
        before, sink = place.sink(), place.sink()
        await before.open(LOG_ID, 1)
        other.produce(place.cursors, b'{"next":99}', b"another/kafka", 0)
        assert other.flush(30.0) == 0
        await before.deliver(BATCH)
        await before.close()
        opening = asyncio.create_task(sink.open(LOG_ID, 1))
        await asyncio.wait([opening], timeout=1.0)
        await asyncio.to_thread(other.abort_transaction, 30.0)
        try:
            return (await opening).next
        finally:
            await sink.close()

    assert asyncio.run(run()) == 5


def test_many_cursors_are_read_to_the_last(place: Place) -> None:
    single = [batch(part(ELEVEN_MS, sequence)) for sequence in range(1, 31)]
    deliver(place.sink(), *single)
    assert deliver(place.sink()) == 31


@pytest.mark.parametrize("limit", ["of the topic", "of the sink"])
def test_an_event_that_is_too_large_is_cut_out_and_the_rest_arrives(place: Place, limit: str) -> None:
    large = record(2, event=b'{"uid":"%b"}' % (b"x" * 4000))
    whole = Batch(LOG_ID, "t", (part(ELEVEN_MS, 1), part(ELEVEN_MS, 2)._replace(payload=large), part(ELEVEN_MS, 3)))
    options = {} if limit == "of the topic" else {"message.max.bytes": "2000"}
    topic = f"{place.topic}-small"
    make_topic(place.address, topic, max_message_bytes="2000" if limit == "of the topic" else "1000000")

    async def run() -> None:
        sink = place.sink(topic=topic, options=options, compression="none")
        try:
            await sink.open(LOG_ID, 1)
            with pytest.raises(BatchRefused):
                await sink.deliver(whole)
            await sink.deliver(_part_of(whole, 1))
            with pytest.raises(BatchRefused, match=r"too large.*max\.message\.bytes of the topic"):
                await sink.deliver(_part_of(whole, 2))
            await sink.deliver(_part_of(whole, 3))
        finally:
            await sink.close()

    asyncio.run(run())
    assert [line + b"\n" for line in lines(place.address, topic)] == _records(1, 3)


def test_an_event_that_is_refused_while_many_others_are_sent_is_told_as_the_cause(place: Place) -> None:
    topic = f"{place.topic}-small"
    make_topic(place.address, topic, max_message_bytes="60000")
    large = record(21, event=b'{"uid":"%b"}' % (b"x" * 70_000))
    parts = [part(ELEVEN_MS, 1, 20), part(ELEVEN_MS, 21)._replace(payload=large), part(ELEVEN_MS, 22, 8000)]
    for _ in range(3):
        with pytest.raises(BatchRefused, match="too large"):
            deliver(place.sink(topic=topic, compression="none"), Batch(LOG_ID, "t", tuple(parts)))


def test_a_batch_that_does_not_arrive_in_time_goes_out_in_smaller_transactions(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    commit, send = Transactions.commit, Transactions.send

    def slow_commit(transactions: Transactions) -> None:
        if sent[-1] > 30:
            raise KafkaFault(KafkaError(KafkaError._MSG_TIMED_OUT))
        commit(transactions)

    def counted_send(transactions: Transactions, topic: str, *message: Any) -> None:
        sent[-1] += topic == place.topic
        send(transactions, topic, *message)

    monkeypatch.setattr(Transactions, "begin", _after(sent, Transactions.begin))
    monkeypatch.setattr(Transactions, "commit", slow_commit)
    monkeypatch.setattr(Transactions, "send", counted_send)
    monkeypatch.setattr("collector.ship.sinks.kafka.sink._QUICK_SECONDS", 0.0)
    whole = batch(part(ELEVEN_MS, 1, 50), part(ELEVEN_MS, 51, 100))

    async def run() -> None:
        sink = place.sink()
        for _ in range(2):
            await sink.open(LOG_ID, 1)
            with pytest.raises(SinkError, match="fewer events"):
                await sink.deliver(whole)
            await sink.close()
        await sink.open(LOG_ID, 1)
        await sink.deliver(whole)
        await sink.close()

    asyncio.run(run())
    assert sent == [100, 50, 25, 25, 25, 25]
    assert place.arrived == _records(*range(1, 101))
    assert deliver(place.sink()) == 101


def _after(sent: list[int], begin: Callable[[Transactions], None]) -> Callable[[Transactions], None]:
    def counted_begin(transactions: Transactions) -> None:
        sent.append(0)
        begin(transactions)

    return counted_begin


def test_what_the_cursor_topic_refuses_is_no_fault_of_an_event(place: Place) -> None:
    make_topic(place.address, place.cursors, max_message_bytes="80", cleanup_policy="compact")
    with pytest.raises(SinkError, match=rf"correct the settings of topic {place.cursors}") as caught:
        deliver(place.sink(consumer="refused"), batch(part(ELEVEN_MS, 1)))
    assert not isinstance(caught.value, BatchRefused)


def _part_of(whole: Batch, sequence: int) -> Batch:
    found = slice_batch(whole, sequence, 1)
    assert found
    return found


def test_an_event_that_went_to_the_dead_letters_is_not_sent_again(place: Place) -> None:
    poison = Batch(LOG_ID, "t", (part(ELEVEN_MS, 5)._replace(payload=b'{"no":"record"}\n'),))
    topic = f"{place.topic[:-1]}{{source}}"
    make_topic(place.address, f"{place.topic[:-1]}web")
    deliver(place.sink(topic=topic), BATCH)
    with pytest.raises(BatchRefused, match="no record"):
        deliver(place.sink(topic=topic), poison)
    assert deliver(place.sink(topic=topic), sequence=6) == 6
    assert deliver(place.sink(topic=topic), sequence=5) == 5, "it is not in the dead letters yet"


def test_a_topic_that_is_not_there_is_retried_until_it_is(place: Place) -> None:
    topic = f"{place.topic}-late"
    sink = place.sink(topic=topic, options={"topic.metadata.propagation.max.ms": "500"})
    with pytest.raises(SinkError, match=f"create topic {topic}, or let the brokers") as caught:
        deliver(sink, BATCH)
    assert caught.value.retriable
    make_topic(place.address, topic)
    assert deliver(sink, BATCH) == 1
    assert len(lines(place.address, topic)) == 4


def test_a_cursor_topic_that_forgets_is_refused(place: Place) -> None:
    make_topic(place.address, place.cursors, cleanup_policy="delete")
    with pytest.raises(SinkError, match=r"cleanup\.policy is delete.*set it to compact"):
        deliver(place.sink(), BATCH)


def test_a_cursor_that_is_none_of_ours_is_named(place: Place) -> None:
    deliver(place.sink(), BATCH)
    producer = Producer({"bootstrap.servers": place.address, "log_level": 0})
    producer.produce(place.cursors, b"{", f"{LOG_ID}/kafka", 0)
    assert producer.flush(30.0) == 0
    with pytest.raises(SinkError, match=rf"record {LOG_ID}/kafka of topic {place.cursors} is no cursor of ours"):
        deliver(place.sink(), NEXT)


def test_keys_headers_and_topics_are_those_of_the_templates(place: Place) -> None:
    for source in ("web", "pos"):
        make_topic(place.address, f"{place.topic}.{source}", partitions=3)
    sink = place.sink(topic=f"{place.topic}.{{source}}", key="uid", headers={"id": "{id}"})
    deliver(sink, batch(part(ELEVEN_MS, 1, 4, sources=("web", "pos"))))
    found = [
        (message.topic(), message.key(), message.headers()) for message in committed(place.address, f"{place.topic}.")
    ]
    assert sorted(found) == [
        (f"{place.topic}.{source}", b"u-%d" % number, [("id", b"%b-%d" % (LOG_ID.encode(), number))])
        for source, number in (("pos", 1), ("pos", 3), ("web", 2), ("web", 4))
    ]


def test_one_key_is_one_partition_in_order(place: Place) -> None:
    topic = f"{place.topic}.many"
    make_topic(place.address, topic, partitions=4)
    deliver(place.sink(topic=topic), batch(part(ELEVEN_MS, 1, 500)), batch(part(ELEVEN_MS, 501, 900)))
    assert [line + b"\n" for line in lines(place.address, topic)] == _records(*range(1, 901))


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_arrives(place: Place, compression: str) -> None:
    deliver(place.sink(compression=compression), BATCH)
    assert place.arrived == _records(1, 2, 3, 4)


def test_a_batch_larger_than_the_queue_waits_for_room(place: Place) -> None:
    deliver(place.sink(options={"queue.buffering.max.messages": "100"}), batch(part(ELEVEN_MS, 1, 1000)))
    assert place.arrived == _records(*range(1, 1001))


def test_a_user_with_the_rights_that_are_documented_delivers(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLOG_TEST_PASSWORD", _PASSWORD)
    _grant(place, "topic", place.topic, "write", "describe")
    _grant(place, "topic", place.cursors, "create", "read", "write", "describe", "describe_configs")
    _grant(place, "transactional_id", "tracklog-", "write", "describe")
    _grant(place, "group", "tracklog-", "read")
    deliver(place.as_user("granted"), BATCH)
    assert deliver(place.as_user("granted"), NEXT) == 5
    assert place.arrived == _records(1, 2, 3, 4, 5, 6, 7)


def _grant(place: Place, kind: str, name: str, *operations: str) -> None:
    grant(place.address, "granted", kind, name, *operations)


def test_a_wrong_password_is_reported_at_once_and_is_not_shown(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLOG_TEST_PASSWORD", "wrong-and-secret")
    with pytest.raises(SinkError, match=r"check sasl\.\* and ssl\.\*") as caught:
        deliver(place.as_user("granted"), BATCH)
    assert "wrong-and-secret" not in repr(caught.value)


def test_a_broker_whose_certificate_nobody_vouches_for_gets_neither_password_nor_event(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRACKLOG_TEST_PASSWORD", _PASSWORD)
    _identity(tmp_path)
    stranger = place._replace(authority=str(tmp_path / "authority.pem"))
    with pytest.raises(SinkError, match=r"certificate.*check sasl\.\* and ssl\.\*"):
        deliver(stranger.as_user("granted"), BATCH)
    assert place.arrived == []


def test_rights_that_are_missing_are_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLOG_TEST_PASSWORD", _PASSWORD)
    with pytest.raises(SinkError, match=f"Write and Describe on the transactional id tracklog-{LOG_ID}-kafka"):
        deliver(place.as_user("nobody"), BATCH)
    _grant(place, "transactional_id", "tracklog-", "write", "describe")
    _grant(place, "group", "tracklog-", "read")
    with pytest.raises(SinkError, match=f"grant .* on topic {place.cursors} to this user"):
        deliver(place.as_user("granted"), BATCH)
    _grant(place, "topic", place.cursors, "create", "read", "write", "describe", "describe_configs")
    with pytest.raises(SinkError, match=f"grant Write and Describe on topic {place.topic} to this user"):
        deliver(place.as_user("granted"), BATCH)
    _grant(place, "topic", place.topic, "write", "describe")
    assert deliver(place.as_user("granted"), BATCH) == 1


def test_brokers_that_are_away_are_named(place: Place) -> None:
    away = f"127.0.0.1:{free_port()}"
    with pytest.raises(SinkError, match=f"check that {away} can be reached"):
        deliver(place.sink(brokers=(away,)), BATCH)


@pytest.mark.parametrize("call", ["open", "deliver"])
def test_a_call_that_is_cancelled_lets_the_sink_be_closed(place: Place, call: str) -> None:
    before = _threads()

    async def run(silent: str) -> None:
        sink = place.sink(brokers=(silent if call == "open" else place.address,), topic=f"{place.topic}-no")
        try:
            task: asyncio.Task[Any] = asyncio.create_task(sink.open(LOG_ID, 1))
            if call == "deliver":
                await task
                task = asyncio.create_task(sink.deliver(BATCH))
            await asyncio.wait([task], timeout=0.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        finally:
            await sink.close()

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        asyncio.run(run(f"127.0.0.1:{listener.getsockname()[1]}"))
    assert not _threads() - before


def test_what_fails_leaves_no_thread_behind_even_while_its_error_is_held(place: Place) -> None:
    before = _threads()
    with pytest.raises(SinkError) as unknown:
        deliver(place.sink(topic=f"{place.topic}-no", options={"topic.metadata.propagation.max.ms": "500"}), BATCH)
    with pytest.raises(SinkError) as away:
        deliver(place.sink(brokers=(f"127.0.0.1:{free_port()}",)))
    assert unknown.value
    assert away.value
    assert not _threads() - before


def test_to_deliver_before_it_is_open_is_an_error_with_a_reason(place: Place) -> None:
    with pytest.raises(SinkError, match="not open"):
        asyncio.run(place.sink().deliver(BATCH))
