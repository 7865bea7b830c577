"""The cursor topic: the position of each consumer of each log, stored in Kafka."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)
from msgspec import Struct, field

from collector.ship.sinks.kafka.faults import HOPELESS, KafkaFault
from collector.ship.sinks.kafka.options import Options
from collector.ship.sinks.kafka.transactions import STEP_SECONDS, TRANSACTION_SECONDS, reported

PARTITION: Final = 0
_REQUEST_SECONDS: Final = 10.0
_POLICY_SECONDS: Final = 3.0
_SEEN_SECONDS: Final = 5.0
_READ_SECONDS: Final = TRANSACTION_SECONDS + 30.0
_SETTINGS: Final = {"cleanup.policy": "compact", "segment.bytes": str(16 << 20)}
"""Small segments: only full segments are compacted, and the rest is read at each start."""
_POLICY_UNKNOWN: Final = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError._UNSUPPORTED_FEATURE,
    KafkaError._TIMED_OUT,
)


class KafkaCursor(Struct, frozen=True, omit_defaults=True):
    """The value of a record: all before `next` is settled; and `next` itself was refused, if `is_refused` is set.

    `chain` is the CRC of the header of the block with the last settled event, the refused one counted.
    """

    next: int
    chain: str = ""
    is_refused: bool = field(default=False, name="refused")

    @property
    def settled(self) -> int:
        """All before this sequence is settled, the refused event counted."""
        return self.next + self.is_refused


class CursorTopic:
    """One partition, compacted; a record's key is `log_id/consumer`."""

    def __init__(self, options: Options, topic: str, group: str) -> None:
        self._properties = options.properties
        self._topic = topic
        self._group = group

    def read(self, key: str, check: Callable[[float], None]) -> KafkaCursor | None:
        """The newest cursor under this key; makes the topic if it is missing. `check` raises when the wait is to end.

        Reads up to what is there now, not to the last stable offset: another log's transaction may have been open
        since before our newest record, which stands after it. When its producer died, that is a minute's wait.
        """
        end = self._end()
        if end is None:
            self._create()
            end = self._end_when_seen(check)
        if end is None:
            text = f"topic {self._topic} is there, but not for this user to see"
            raise KafkaFault(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, text), self._topic)
        found = self._newest(key.encode(), end, check)
        if found is None:
            self._check_policy()
            return None
        try:
            return msgspec.json.decode(found, type=KafkaCursor)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            text = f"the record {key} of topic {self._topic} is no cursor of ours ({error}); put the last one there"
            raise KafkaFault(KafkaError(KafkaError._BAD_MSG, text), self._topic) from None

    def _newest(self, key: bytes, end: int, check: Callable[[float], None]) -> bytes | None:
        deadline = time.monotonic() + _READ_SECONDS
        found: bytes | None = None
        place = 0
        with closing(Consumer(self._consumer())) as consumer:
            consumer.assign([TopicPartition(self._topic, PARTITION, 0)])
            while place < end:
                message = consumer.poll(STEP_SECONDS)
                if message is None:
                    check(deadline)
                    continue
                place = self._place_behind(message, place)
                if message.error() is None and message.key() == key:
                    found = message.value()
        return found

    def _end(self) -> int | None:
        """The offset after the last record, committed or not; None if the topic does not exist."""
        place = TopicPartition(self._topic, PARTITION)
        admin = AdminClient(self._properties)
        try:
            with reported(self._topic):
                newest = {place: OffsetSpec.latest()}  # type: ignore[no-untyped-call]
                found = admin.list_offsets(newest, request_timeout=_REQUEST_SECONDS)[place].result()
        except KafkaFault as fault:
            if fault.code != KafkaError._NOENT:
                raise
            return None
        finally:
            del admin  # an error's traceback would keep its threads
        return int(found.offset)

    def _end_when_seen(self, check: Callable[[float], None]) -> int | None:
        """The same of a topic that exists; a broker may show a new topic a moment after creating it."""
        until = time.monotonic() + _SEEN_SECONDS
        while (end := self._end()) is None and time.monotonic() < until:
            check(until + _SEEN_SECONDS)
            time.sleep(STEP_SECONDS)
        return end

    def _create(self) -> None:
        topic = NewTopic(self._topic, num_partitions=1, replication_factor=-1, config=_SETTINGS)
        admin = AdminClient(self._properties)
        try:
            with reported(self._topic):
                made = admin.create_topics(
                    [topic], operation_timeout=_REQUEST_SECONDS, request_timeout=_REQUEST_SECONDS
                )
                made[self._topic].result()
        except KafkaFault as fault:
            if fault.code != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
        finally:
            del admin

    def _check_policy(self) -> None:
        """Raise KafkaFault for a topic that does not keep cursors, if its settings can be read."""
        resource = ConfigResource(ResourceType.TOPIC, self._topic)
        admin = AdminClient(self._properties)
        try:
            with reported(self._topic):
                described = admin.describe_configs([resource], request_timeout=_POLICY_SECONDS)[resource]
                policy = described.result()["cleanup.policy"].value
        except KafkaFault as fault:
            if fault.code not in _POLICY_UNKNOWN:
                raise
            return
        finally:
            del admin
        if policy != "compact":
            text = f"its cleanup.policy is {policy}, which forgets how far we are; set it to compact"
            raise KafkaFault(KafkaError(KafkaError.POLICY_VIOLATION, text), self._topic)

    def _consumer(self) -> dict[str, object]:
        return self._properties | {
            "group.id": self._group,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }

    def _place_behind(self, message: Message, place: int) -> int:
        """The offset after a record, or where all that is stable ends. Raises KafkaFault if waiting does not help."""
        error, offset = message.error(), message.offset() or 0
        if error is None:
            return offset + 1
        if error.code() in HOPELESS:
            raise KafkaFault(error, self._topic)
        return offset if error.code() == KafkaError._PARTITION_EOF else place
