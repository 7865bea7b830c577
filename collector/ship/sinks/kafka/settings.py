"""The settings of a Kafka sink."""

from typing import Annotated, Final, Literal

from msgspec import Meta, field

from collector.settings.faults import CHECK
from collector.settings.fields import Text
from collector.settings.sinks import FlushBytes, FlushSeconds, SinkName, SinkSettings
from collector.settings.templates import may_hold

PLACE_NAMES: Final = ("source", "portal_id", "prop_id")
"""Names in a template for values of an event's property."""
EVENT_NAMES: Final = ("id", "event_id", "occurred_at", "dialect")
"""Names in a template for values of the event itself; a record may lack all but `id`."""


def _broker_fault(broker: str) -> str | None:
    return "expected `host:port`; users and passwords belong into the sink's options" if "@" in broker else None


Broker = Annotated[Text, Meta(extra={CHECK: _broker_fault})]


class KafkaSinkSettings(SinkSettings, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="kafka"):
    """Events as messages, one transaction a batch."""

    brokers: Annotated[tuple[Broker, ...], Meta(min_length=1, description="`host:port` of some brokers")]
    topic: Annotated[
        Text,
        Meta(
            description="topic of the messages; may hold `{source}`, `{portal_id}`, `{prop_id}`",
            extra=may_hold(*PLACE_NAMES),
        ),
    ] = "events.{source}"
    key: Annotated[
        Literal["uid", "au_id", "event_id", "none"],
        Meta(
            description="key of the messages: `uid` and `au_id` keep the events of a visitor in one partition; "
            "`event_id` is `PORTAL.PROP/EVENT_ID`, or the record's id where the client gave none, "
            "so that the same event has the same key at every node"
        ),
    ] = "au_id"
    headers: Annotated[
        dict[str, Annotated[str, Meta(extra=may_hold(*PLACE_NAMES, *EVENT_NAMES))]],
        Meta(
            description="headers of each message; values may hold the names of the topic, and `{id}`, `{event_id}`, "
            "`{occurred_at}` (Unix ms), `{dialect}`; a message goes without a header whose value the event lacks"
        ),
    ] = field(default_factory=lambda: {"event_id": "{event_id}"})
    format: Annotated[
        Literal["record", "cloudevents"],
        Meta(description="`cloudevents` adds the headers of a CloudEvent, whose data is the record"),
    ] = "record"
    compression: Annotated[
        Literal["none", "gzip", "snappy", "lz4", "zstd"], Meta(description="compression of messages")
    ] = "lz4"
    cursor_topic: Annotated[Text, Meta(description="compacted topic of the cursors; created if missing")] = (
        "tracklog.cursors"
    )
    options: Annotated[
        dict[str, str],
        Meta(description="librdkafka's properties, for example for TLS and SASL; `env:NAME` reads the environment"),
    ] = field(default_factory=dict)
    name: SinkName = "kafka"
    flush_bytes: FlushBytes = 4 << 20
    flush_seconds: FlushSeconds = 0.05

    def environment(self) -> dict[str, dict[str, str]]:
        """Passwords stand in `options`."""
        return {"options": self.options}
