"""The table `[[property]]` of `collector.toml` and of the files that it includes, as a frozen struct."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from collector.settings.fields import FromEnvironment, Identifier, Name, Origin, RedirectHost, Seconds

EVENT_FIELDS: Final = ("ea", "ec", "sid", "aid", "uid")
"""Fields that a property can require; the default is all of them."""


class PropertySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """A data source of a portal."""

    portal_id: Annotated[Identifier, Meta(description="the business account")]
    prop_id: Annotated[Identifier, Meta(description="the data source of that account")]
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
