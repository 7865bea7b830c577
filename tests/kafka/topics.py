"""What a consumer that reads only what is committed finds in a Kafka, through librdkafka."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

_STEP_SECONDS = 10.0


def committed(address: str, prefix: str, **properties: Any) -> list[Message]:
    """Every message of the topics whose name begins so, partition after partition, each in its order."""
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
    with closing(Consumer(settings | properties)) as consumer:
        return [message for place in _places(consumer, prefix) for message in _read(consumer, place)]


def lines(address: str, prefix: str) -> list[bytes]:
    """The values of these messages."""
    return [message.value() or b"" for message in committed(address, prefix)]


def _places(consumer: Consumer, prefix: str) -> list[TopicPartition]:
    topics = consumer.list_topics(timeout=_STEP_SECONDS).topics
    names = sorted(name for name in topics if name.startswith(prefix))
    return [TopicPartition(name, partition, 0) for name in names for partition in sorted(topics[name].partitions)]


def _read(consumer: Consumer, place: TopicPartition) -> Iterator[Message]:
    consumer.assign([place])
    while True:
        message = consumer.poll(_STEP_SECONDS)
        assert message is not None, f"no answer for {place}"
        error = message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            return
        if error is None:
            yield message
