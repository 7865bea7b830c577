"""The table `[[property]]` of `collector.toml` and of the files that it includes, as a frozen struct."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from collector.settings.durations import Duration, milliseconds
from collector.settings.fields import (
    DIALECTS,
    DialectName,
    FromEnvironment,
    Identifier,
    Name,
    Origin,
    PublicId,
    RedirectHost,
    Seconds,
)

_DEDUP_OF_DIALECTS: Final = "1h"
EVENT_FIELDS: Final = ("ea", "ec", "sid", "aid", "uid")
"""Fields that a property can require; the default is all of them."""


class PropertySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """A data source of a portal."""

    portal_id: Annotated[Identifier, Meta(description="the business account")]
    prop_id: Annotated[Identifier, Meta(description="the data source of that account")]
    id: Annotated[
        PublicId | None,
        Meta(
            description="its public name, which SDKs have as write key, app id or API key, and a query as `id`; "
            "default: `PORTAL.PROP`"
        ),
    ] = None
    source: Annotated[Name, Meta(description="its kind: `web`, `android`, `ios`, `pos`, …")] = "web"
    origins: Annotated[
        tuple[Origin, ...],
        Meta(description="origins of the pages that may send events; an empty list or `*` allows all"),
    ] = ()
    redirect_hosts: Annotated[
        tuple[RedirectHost, ...],
        Meta(description="hosts that a click may lead to; `*.example.com` stands for its subdomains"),
    ] = ()
    required: Annotated[
        tuple[Literal["ea", "ec", "sid", "aid", "uid"], ...], Meta(description="fields that an event must have")
    ] = EVENT_FIELDS
    write_keys: Annotated[
        tuple[FromEnvironment, ...],
        Meta(description="`env:NAME` of the keys of which a request must present one; several allow rotation"),
    ] = ()
    dialects: Annotated[
        tuple[DialectName, ...], Meta(description="dialects of SDKs that may send to it, beside `/event`")
    ] = DIALECTS
    dedup: Annotated[
        Duration | None,
        Meta(
            description="how long the ids of events are remembered, so that an event sent again is stored once: `1h`, "
            "`7d`, `off`; default: `1h` for events of dialects, `off` for others"
        ),
    ] = None
    events_per_second: Annotated[
        float,
        Meta(ge=0, le=1e9, description="requests above this rate get 429; each worker allows its share; 0: no limit"),
    ] = 0.0
    rejects_per_second: Annotated[
        float,
        Meta(
            gt=0,
            le=1e9,
            description="above this rate of refused events, their requests get 429 and write no dead letter",
        ),
    ] = 10_000.0
    ip: Annotated[
        Literal["full", "truncate", "drop"],
        Meta(description="how much of an address is stored; `truncate` keeps /24 (IPv4) or /48 (IPv6)"),
    ] = "full"
    user_agent: Annotated[Literal["full", "drop"], Meta(description="whether the user agent is stored")] = "full"
    ack: Annotated[
        Literal["fsync", "shipped"],
        Meta(description="what a 200 means: the event is fsynced, or also delivered by a sink"),
    ] = "fsync"
    ack_sink: Annotated[Name | None, Meta(description="the name of the sink that `shipped` waits for")] = None
    ack_seconds: Annotated[
        Seconds,
        Meta(description="time that `shipped` waits; then the response is 503, although the event is in the log"),
    ] = 5.0
    cookies: Annotated[
        bool, Meta(description="whether a `web` property keeps the session in a cookie, where the visitor allows it")
    ] = True

    @property
    def dedup_ms(self) -> int:
        """How long the ids of events on `/event` are remembered, in ms; 0: not at all."""
        return milliseconds(self.dedup or "off")

    @property
    def dialects_dedup_ms(self) -> int:
        """The same for events of dialects."""
        return milliseconds(self.dedup or _DEDUP_OF_DIALECTS) if self.dialects else 0

    @property
    def public_id(self) -> str:
        """The public name, also where none is set."""
        return self.id or f"{self.portal_id}.{self.prop_id}"
