"""What a consumer that reads only what is committed finds in a Kafka, through librdkafka."""

from collections.abc import Iterator
from contextlib import closing

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

_STEP_SECONDS = 10.0
_SETTLED_SECONDS = 5.0


def committed(address: str, prefix: str) -> list[Message]:
    """Every message of the topics whose name begins so, partition after partition, each in its order.

    Kafka answers a commit before its markers are in the partitions: what it said yes to may not be stable for a moment.
    So this waits for what is there now, unless it stays open, as behind a producer that died.
    """
    settings = {
        "bootstrap.servers": address,
        "group.id": "test",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 20,
        "log_level": 0,
    }
    with closing(Consumer(settings)) as consumer:
        ends = _ends(address, _places(consumer, prefix))
        return [message for place, end in ends.items() for message in _read(consumer, place, end)]


def lines(address: str, prefix: str) -> list[bytes]:
    """The values of these messages."""
    return [message.value() or b"" for message in committed(address, prefix)]


def _places(consumer: Consumer, prefix: str) -> list[TopicPartition]:
    topics = consumer.list_topics(timeout=_STEP_SECONDS).topics
    names = sorted(name for name in topics if name.startswith(prefix))
    return [TopicPartition(name, partition, 0) for name in names for partition in sorted(topics[name].partitions)]


def _ends(address: str, places: list[TopicPartition]) -> dict[TopicPartition, int]:
    """The offset after the last message of each, committed or not."""
    latest = {place: OffsetSpec.latest() for place in places}  # type: ignore[no-untyped-call]
    admin = AdminClient({"bootstrap.servers": address})  # its answers come for as long as it lives
    found = admin.list_offsets(latest, request_timeout=_STEP_SECONDS) if places else {}
    return {place: found[place].result().offset for place in places}


def _read(consumer: Consumer, place: TopicPartition, end: int) -> Iterator[Message]:
    consumer.assign([place])
    patience = _STEP_SECONDS
    while (message := consumer.poll(patience)) is not None:
        error = message.error()
        if error is None:
            yield message
        elif error.code() == KafkaError._PARTITION_EOF:
            if (message.offset() or 0) >= end:
                return
            patience = _SETTLED_SECONDS
    assert patience == _SETTLED_SECONDS, f"no answer for {place}"
