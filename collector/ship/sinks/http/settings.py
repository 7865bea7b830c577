"""The settings of an HTTP sink."""

from typing import Annotated, Literal

from msgspec import Meta, field

from collector.settings.fields import Seconds, Text
from collector.settings.sinks import FlushBytes, FlushSeconds, SinkName, SinkSettings
from collector.settings.templates import may_hold


class HttpSinkSettings(SinkSettings, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="http"):
    """Events as requests, one a batch."""

    url: Annotated[
        Text,
        Meta(
            description="URL of the requests; may hold `{token}`, `{log_id}`, `{first}`, `{last}`",
            extra=may_hold("token", "log_id", "first", "last"),
        ),
    ]
    resume_url: Annotated[
        str | None,
        Meta(
            description="URL that a start reads for the next sequence of `{log_id}` that the receiver expects",
            extra=may_hold("log_id"),
        ),
    ] = None
    body: Annotated[
        Literal["ndjson", "array", "cloudevents"],
        Meta(description="one event a line, one JSON array, or one JSON array of CloudEvents, whose data is the event"),
    ] = "ndjson"
    compression: Annotated[Literal["none", "gzip", "zstd"], Meta(description="compression of bodies")] = "zstd"
    headers: Annotated[
        dict[str, str], Meta(description="headers of each request; `env:NAME` reads the environment")
    ] = field(default_factory=dict)
    timeout_seconds: Annotated[Seconds, Meta(description="a request without a response fails after this long")] = 30.0
    final_statuses: Annotated[
        tuple[int, ...], Meta(description="statuses that refuse a batch for good; all others but 2xx are retried")
    ] = (400, 413, 422)
    name: SinkName = "http"
    flush_bytes: FlushBytes = 4 << 20
    flush_seconds: FlushSeconds = 0.1

    def environment(self) -> dict[str, dict[str, str]]:
        """Credentials stand in `headers`."""
        return {"headers": self.headers}
