"""librdkafka's properties from the sink's settings. Nothing connects here, and no secret leaves but to librdkafka."""

import re
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException, Producer

from collector.errors import BadSettings
from collector.settings.environment import read_value
from collector.settings.templates import filled
from collector.ship.credentials import secrets_of
from collector.ship.sinks.kafka.settings import KafkaSinkSettings

_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_SHORTEST: Final = {"source": "s", "portal_id": "1", "prop_id": "1"}
_PROBE: Final = "tracklog.probe"
_ELSEWHERE: Final = {
    "bootstrap.servers": "brokers",
    "metadata.broker.list": "brokers",
    "compression.codec": "compression",
    "compression.type": "compression",
}
_OURS: Final = frozenset(
    (
        "transactional.id",
        "transaction.timeout.ms",
        "enable.idempotence",
        "acks",
        "request.required.acks",
        "enable.gapless.guarantee",
        "message.timeout.ms",
        "delivery.timeout.ms",
        "request.timeout.ms",
        "max.in.flight",
        "max.in.flight.requests.per.connection",
        "message.send.max.retries",
        "retries",
        "enable.auto.commit",
        "auto.commit.enable",
        "enable.auto.offset.store",
        "enable.partition.eof",
        "isolation.level",
        "auto.offset.reset",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "delivery.report.only.error",
        "on_delivery",
        "logger",
        "plugin.library.paths",
    )
)
"""Properties on which exactly once, bounded memory or the end of a call rests."""


class Options(NamedTuple):
    """The properties that all clients of a sink share, and their secret values."""

    properties: dict[str, Any]
    secrets: tuple[str, ...]

    def redacted(self, text: str) -> str:
        """A text of librdkafka's without the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def options_of(settings: KafkaSinkSettings) -> Options:
    """The properties that these settings ask for. Raises BadSettings for one that can't be or must not be set."""
    _check_topic(settings, "topic", settings.topic)
    _check_topic(settings, "cursor_topic", settings.cursor_topic)
    properties = {
        "bootstrap.servers": ",".join(settings.brokers),
        "client.id": "tracklog",
        "log_level": "2",  # the shipper reports what fails, once
        "reconnect.backoff.max.ms": "1000",
    }
    secrets: list[str] = []
    for name, text in settings.options.items():
        where = f"sink {settings.name}: options.{name}"
        value = read_value(where, text)
        secret = secrets_of(name, text, value)
        secrets += secret
        _check(where, name, value, is_secret=bool(secret) or value is not text)
        properties[name] = value
    return Options(properties, tuple(secrets))


def _check_topic(settings: KafkaSinkSettings, name: str, topic: str) -> None:
    """Check the topic with short values: real ones are safe by themselves."""
    if not _TOPIC.fullmatch(filled(topic, _SHORTEST)):
        raise BadSettings(f"sink {settings.name}: {name}: expected at most 249 letters, digits and any of ._-")


def _check(where: str, name: str, value: str, *, is_secret: bool) -> None:
    if name in _ELSEWHERE:
        raise BadSettings(f"{where}: expected it in the sink's own setting `{_ELSEWHERE[name]}`")
    if name in _OURS or name.endswith("_cb") or name.startswith("test."):
        raise BadSettings(f"{where}: expected not to be set, exactly once rests on it")
    if fault := _fault(name, value):
        raise BadSettings(
            f"{where}: expected a property of librdkafka and a value it takes{'' if is_secret else fault}"
        )


def _fault(name: str, value: str) -> str:
    """The objection of librdkafka to a property; empty if it accepts it.

    Properties are taken in order, and the unknown one after it ends the call before a client or a thread is made.
    """
    try:
        Producer({name: value, _PROBE: ""})
    except KafkaException as error:
        text = str(error.args[0].str())
        return "" if _PROBE in text else f": {_without(value, text)}"
    except (TypeError, ValueError, AttributeError) as error:
        return f": {_without(value, str(error))}"
    raise AssertionError("librdkafka took a property that there is not")


def _without(value: str, text: str) -> str:
    """The text of an error without the value: a password may stand at the wrong property."""
    return text.replace(value, "***") if value else text
