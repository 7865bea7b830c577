"""The settings of sinks, one struct for each `type`."""

from collections.abc import Callable, Iterable
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from collector.settings.faults import CHECK
from collector.settings.fields import Name, Seconds, Text
from collector.settings.templates import names_in

Format = Literal["ndjson", "parquet"]
OfOptions = dict[str, str]

_NAME_HELP: Final = "names the cursor; set it where two sinks have one type"
_START_HELP: Final = "where a new sink begins: at the `oldest` event that is kept, or at the `newest`"
_BYTES_HELP: Final = "a batch is cut when this many bytes of events wait"
_SECONDS_HELP: Final = "… or the oldest of them waits this long"
_FORMAT_HELP: Final = "`ndjson`, compressed with zstd, or `parquet`"
Start = Annotated[Literal["oldest", "newest"], Meta(description=_START_HELP)]
FlushBytes = Annotated[int, Meta(ge=1, le=64 << 20, description=_BYTES_HELP)]
FlushSeconds = Annotated[Seconds, Meta(description=_SECONDS_HELP)]
SinkName = Annotated[Name, Meta(description=_NAME_HELP)]


def _may_hold(*names: str) -> dict[str, Callable[[str], str | None]]:
    """The check that a template asks for no other names. A URL's password may be in braces: it is not shown."""

    def fault(template: str) -> str | None:
        unknown = names_in(template) - set(names)
        if not unknown:
            return None
        got = "another name in braces" if "@" in template else _braced(sorted(unknown))
        return f"expected none but {_braced(names)}, got {got}"

    return {CHECK: fault}


def _broker_fault(broker: str) -> str | None:
    return "expected `host:port`; users and passwords belong into the sink's options" if "@" in broker else None


def _braced(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


Broker = Annotated[Text, Meta(extra={CHECK: _broker_fault})]


class FileSink(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type", tag="file"):
    """Events as files, by date and hour."""

    dir: Annotated[Text, Meta(description="folder of date=…/hour=…/")]
    format: Annotated[Format, Meta(description=_FORMAT_HELP)] = "ndjson"
    name: SinkName = "file"
    start: Start = "oldest"
    flush_bytes: FlushBytes = 8 << 20
    flush_seconds: FlushSeconds = 5.0


class KafkaSink(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type", tag="kafka"):
    """Events as messages, a transaction a batch."""

    brokers: Annotated[tuple[Broker, ...], Meta(min_length=1, description="`host:port` of some brokers")]
    topic: Annotated[
        Text,
        Meta(
            description="may hold `{source}`, `{portal_id}`, `{prop_id}`",
            extra=_may_hold("source", "portal_id", "prop_id"),
        ),
    ] = "events.{source}"
    key: Annotated[
        Literal["uid", "au_id", "none"], Meta(description="what keeps events of one visitor in one partition")
    ] = "au_id"
    headers: Annotated[
        dict[str, Annotated[str, Meta(extra=_may_hold("source", "portal_id", "prop_id", "id"))]],
        Meta(description="of each message; values may hold what the topic may, and `{id}`"),
    ] = {}
    compression: Annotated[Literal["none", "gzip", "snappy", "lz4", "zstd"], Meta(description="of messages")] = "lz4"
    cursor_topic: Annotated[Text, Meta(description="compacted topic of the cursors, made if it is missing")] = (
        "tracklog.cursors"
    )
    options: Annotated[
        OfOptions,
        Meta(description="librdkafka's properties, for TLS and SASL above all; `env:NAME` reads the environment"),
    ] = {}
    name: SinkName = "kafka"
    start: Start = "oldest"
    flush_bytes: FlushBytes = 4 << 20
    flush_seconds: FlushSeconds = 0.05


class ObjectsSink(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type", tag="objects"):
    """Events as objects in S3, Google Cloud Storage, Azure Blob Storage or a folder."""

    url: Annotated[Text, Meta(description="`s3://bucket/prefix`, `gs://…`, `az://…` or `file:///folder`")]
    partition: Annotated[
        Text,
        Meta(
            description="folders below it; may hold `{source}`, `{date}`, `{hour}`",
            extra=_may_hold("source", "date", "hour"),
        ),
    ] = "source={source}/date={date}/hour={hour}"
    format: Annotated[Format, Meta(description=_FORMAT_HELP)] = "ndjson"
    options: Annotated[
        OfOptions,
        Meta(description="obstore's settings of the store: `endpoint`, `region`, …; `env:NAME` reads the environment"),
    ] = {}
    name: SinkName = "objects"
    start: Start = "oldest"
    flush_bytes: FlushBytes = 16 << 20
    flush_seconds: FlushSeconds = 30.0


class HttpSink(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type", tag="http"):
    """Events as requests, a batch each."""

    url: Annotated[
        Text,
        Meta(
            description="may hold `{token}`, `{log_id}`, `{first}`, `{last}`",
            extra=_may_hold("token", "log_id", "first", "last"),
        ),
    ]
    resume_url: Annotated[
        str | None,
        Meta(
            description="asked at each start for the next sequence of `{log_id}` that the receiver wants",
            extra=_may_hold("log_id"),
        ),
    ] = None
    body: Annotated[Literal["ndjson", "array"], Meta(description="a line an event, or one JSON array")] = "ndjson"
    compression: Annotated[Literal["none", "gzip", "zstd"], Meta(description="of bodies")] = "zstd"
    headers: Annotated[OfOptions, Meta(description="of each request; `env:NAME` reads the environment")] = {}
    timeout_seconds: Annotated[Seconds, Meta(description="until a request counts as failed")] = 30.0
    final_statuses: Annotated[
        tuple[int, ...], Meta(description="answers that refuse a batch for good; all but 2xx else are tried again")
    ] = (400, 413, 422)
    name: SinkName = "http"
    start: Start = "oldest"
    flush_bytes: FlushBytes = 4 << 20
    flush_seconds: FlushSeconds = 0.1


Sink = FileSink | KafkaSink | ObjectsSink | HttpSink
