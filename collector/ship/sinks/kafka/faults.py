"""The meaning of Kafka's errors for a batch: it is refused for good, or sent again after the cause was fixed."""

from typing import Final

from confluent_kafka import KafkaError

from collector.errors import BatchRefused, SinkError
from collector.settings.templates import filled

_REFUSALS: Final = frozenset(
    (
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
    )
)
HOPELESS: Final = frozenset(
    (
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._SSL,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    )
)
"""Errors that waiting does not fix: no call waits for them."""
_LATE: Final = frozenset((KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT_QUEUE, KafkaError._TIMED_OUT))
_AWAY: Final = frozenset(
    (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT, KafkaError._INTR)
)
_ADVICE: Final = {
    ("_UNKNOWN_TOPIC", "UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_PARTITION"): (
        "create {topic}, or let the brokers do it with auto.create.topics.enable"
    ),
    ("TOPIC_AUTHORIZATION_FAILED",): "grant Write and Describe on {topic} to this user, and Read on the cursor topic",
    ("TRANSACTIONAL_ID_AUTHORIZATION_FAILED",): (
        "grant Write and Describe on the transactional id {id} to this user; tracklog- is what all of them begin with"
    ),
    ("GROUP_AUTHORIZATION_FAILED",): "grant Read on the group {id} to this user",
    ("CLUSTER_AUTHORIZATION_FAILED",): "grant Create on the cluster to this user, or create the cursor topic for it",
    ("_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "_SSL"): "check sasl.* and ssl.* in the options of the sink",
    ("_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"): (
        "another producer took {id} over; see that no copy of this log is served elsewhere"
    ),
    ("_TRANSPORT", "_ALL_BROKERS_DOWN", "_RESOLVE"): "check that {brokers} can be reached from here",
    ("_TIMED_OUT", "_MSG_TIMED_OUT", "_TIMED_OUT_QUEUE"): (
        "check that {brokers} can be reached from here; on a slow way there, the next transactions have fewer events"
    ),
    ("MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_MSG_SIZE", "INVALID_RECORD"): (
        "correct the settings of {topic}, which must take records of 100 bytes with a key"
    ),
}
_UNTRUSTED: Final = "certificate verify failed"
_BY_CODE: Final = {getattr(KafkaError, name): advice for names, advice in _ADVICE.items() for name in names}


class KafkaFault(Exception):
    """An error of Kafka's, and its topic, if it has one."""

    def __init__(self, error: KafkaError, topic: str = "") -> None:
        super().__init__(str(error.str()))
        # librdkafka has it as _TRANSPORT at times
        self.code: int = KafkaError._SSL if _UNTRUSTED in str(self) else error.code()
        self.topic = topic

    def is_refusal(self, cursor_topic: str) -> bool:
        """Whether the same event will never be taken. What the cursor topic refuses says nothing of an event."""
        return self.code in _REFUSALS and self.topic != cursor_topic

    @property
    def is_late(self) -> bool:
        """Whether the brokers may have been too slow for so many events."""
        return self.code in _LATE

    @property
    def is_away(self) -> bool:
        """Whether no broker can be reached."""
        return self.code in _AWAY

    def as_sink_error(self, transactional_id: str, brokers: str, cursor_topic: str) -> SinkError:
        """The error for the shipper, with what to do."""
        text, topic = str(self), f"topic {self.topic}" if self.topic else "the topic"
        if self.is_refusal(cursor_topic):
            limits = "; the limits are max.message.bytes of the topic and options.message.max.bytes of the sink"
            return BatchRefused(f"{topic}: {text}{'' if self.code == KafkaError.INVALID_RECORD else limits}")
        values = {"topic": topic, "id": transactional_id, "brokers": brokers}
        advice = _BY_CODE.get(self.code, "the batch will be sent again")
        return SinkError(f"Kafka: {text}; {filled(advice, values)}")
