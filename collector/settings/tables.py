"""The tables of `collector.toml` as frozen structs: strict, with every setting's unit, bounds and help beside it."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct

from collector.settings.admin import AdminSettings
from collector.settings.cpus import usable_cpus
from collector.settings.dedup import DedupSettings
from collector.settings.faults import SettingFault, did_you_mean, shown
from collector.settings.fields import (
    DIALECTS,
    DialectName,
    FromEnvironment,
    Network,
    Path,
    PathOrNone,
    Positive,
    PublicId,
    Seconds,
    Text,
)
from collector.settings.log import LogSettings
from collector.settings.paths import path_faults
from collector.settings.places import shared_places
from collector.settings.process_log import ProcessLogSettings
from collector.settings.properties import PropertySettings
from collector.settings.sinks import AnySink


class ServerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The socket and the processes."""

    host: Annotated[str, Meta(min_length=1, description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="TCP port; 0 takes a free one")] = 8080
    workers: Annotated[
        int, Meta(ge=1, le=256, description="processes; default: the CPUs that affinity and cgroup quota allow")
    ] = min(usable_cpus(), 256)
    grace_seconds: Annotated[
        int,
        Meta(
            ge=1,
            le=3600,
            description="at a stop, how long requests, sinks and closing get in all; then workers are killed",
        ),
    ] = 10
    shutdown_delay: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="at SIGTERM, seconds of red health in which requests are still taken; `grace_seconds` follow",
        ),
    ] = 0.0
    health_path: Annotated[
        PathOrNone, Meta(description='path of the health check, for load balancers; `""` turns it off')
    ] = "/healthz"
    alias: Annotated[Path | None, Meta(description="another path for events: ad blockers know `/event`")] = None
    demo: Annotated[
        PublicId | None, Meta(description="public id of the property of the demo shop at `/demo`; without it no shop")
    ] = None
    dialects: Annotated[
        tuple[DialectName, ...], Meta(description="dialects of SDKs that are served, beside `/event`")
    ] = DIALECTS
    snowplow_path: Annotated[
        Path | None, Meta(description="another path for Snowplow's POST, as its trackers have it in `postPath`")
    ] = None
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Meta(description="networks such as `10.0.0.0/8` whose `X-Forwarded-For` or `Forwarded` is trusted"),
    ] = ()
    tls_certificate: Annotated[
        Text | None,
        Meta(description="PEM file of the server's certificate, then the intermediate ones; with it, HTTPS is served"),
    ] = None
    tls_key: Annotated[Text | None, Meta(description="PEM file of its private key, not encrypted")] = None
    relay_keys: Annotated[
        tuple[FromEnvironment, ...],
        Meta(
            description="`env:NAME` of the keys that other nodes present at `/relay`; without a key that path is a 404"
        ),
    ] = ()

    def faults(self) -> Iterator[SettingFault]:
        """Rules that need several fields."""
        paths = {name: getattr(self, name) for name in ("alias", "snowplow_path", "health_path")}
        yield from path_faults(paths, self.dialects, has_demo=self.demo is not None)
        for name, other in (("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")):
            if getattr(self, name) is None and getattr(self, other) is not None:
                message = f"missing; expected a file, because server.{other} is set"
                yield SettingFault(name, message, reads=(name, other))


class DeadLetterSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The log of refused events; retained segments are dropped by age and by size."""

    dir: Annotated[str, Meta(min_length=1, description="folder of the shards 00, 01, …, in the log's format")] = (
        "data/dead"
    )
    bytes_per_hour: Annotated[
        Positive, Meta(description="the most bytes that a worker writes an hour, so that junk can't fill the disk")
    ] = 64 << 20
    retain_hours: Annotated[float, Meta(ge=0, le=100_000, description="how long dead letters are kept")] = 720.0
    retain_bytes: Annotated[int, Meta(ge=0, description="dead letters are kept up to this many bytes a shard")] = (
        1 << 30
    )


class SessionSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Visitors and their sessions."""

    secret: Annotated[
        FromEnvironment | None,
        Meta(
            description="`env:NAME` of the key behind session tokens, visitor ids and redirect signatures, the same on "
            "all nodes; generated if not set"
        ),
    ] = None
    timeout_seconds: Annotated[Seconds, Meta(description="a session ends this long after its last hit")] = 1800.0


LARGEST_EVENT: Final = 128 << 10
"""The most that `limits.event_bytes` can be."""


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """The limits of a request and of a worker."""

    event_bytes: Annotated[int, Meta(ge=1024, le=LARGEST_EVENT, description="the most bytes of one event")] = 64 << 10
    body_bytes: Annotated[
        int, Meta(ge=1024, le=6 << 20, description="the most bytes of a body, and of an inflated body")
    ] = 5 << 20
    batch_events: Annotated[int, Meta(ge=1, le=10_000, description="the most events in one body")] = 1000
    inflation_ratio: Annotated[
        int,
        Meta(
            ge=1, le=10_000, description="the most bytes that a byte of a compressed body may inflate to, above 64 KiB"
        ),
    ] = 100
    url_bytes: Annotated[int, Meta(ge=1024, le=64 << 10, description="the most bytes of a URL")] = 20 << 10
    nesting: Annotated[int, Meta(ge=1, le=256, description="the most levels of arrays and objects in an event")] = 64
    header_seconds: Annotated[Seconds, Meta(description="time for all headers to arrive")] = 10.0
    body_seconds: Annotated[
        Seconds, Meta(description="time for the whole body to arrive, or for the client to read a response")
    ] = 10.0
    connections: Annotated[
        Positive,
        Meta(
            description="connections that a worker holds open, or fewer where the hard limit of open files is below "
            "this plus 256"
        ),
    ] = 10_000
    connections_per_address: Annotated[
        Positive,
        Meta(description="connections of one address that a worker holds open; trusted proxies may have more"),
    ] = 5000
    in_flight_bytes: Annotated[
        int, Meta(ge=8 << 20, description="bytes of bodies that a worker holds at a time; requests beyond are shed")
    ] = 256 << 20

    def faults(self) -> Iterator[SettingFault]:
        """Rules that need several fields."""
        if self.event_bytes > self.body_bytes:
            yield SettingFault(
                "event_bytes",
                f"expected at most limits.body_bytes, {self.body_bytes}, got {self.event_bytes}",
                reads=("event_bytes", "body_bytes"),
            )


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of `collector.toml`."""

    include: Annotated[
        tuple[Text, ...],
        Meta(
            description="files with more `[[property]]` tables, as patterns such as `properties/*.toml`; sorted by name"
        ),
    ] = ()
    server: ServerSettings = ServerSettings()
    admin: AdminSettings = AdminSettings()
    log: LogSettings = LogSettings()
    dead_letters: DeadLetterSettings = DeadLetterSettings()
    dedup: DedupSettings = DedupSettings()
    session: SessionSettings = SessionSettings()
    limits: Limits = Limits()
    process_log: ProcessLogSettings = ProcessLogSettings()
    property: tuple[PropertySettings, ...] = ()
    sink: tuple[AnySink, ...] = ()

    def faults(self) -> Iterator[SettingFault]:
        """Rules that need several fields."""
        ids = [(prop.portal_id, prop.prop_id) for prop in self.property]
        yield from _twice("property", ("portal_id", "prop_id"), ids)
        first = dict(reversed(list(zip(ids, self.property, strict=True))))
        named = [
            prop.public_id if prop is first[pair] else object() for pair, prop in zip(ids, self.property, strict=True)
        ]
        yield from _twice("property", ("id",), named, others=("portal_id", "prop_id"))
        yield from _twice("sink", ("name",), [sink.name for sink in self.sink])
        public_ids = [prop.public_id for prop in self.property]
        if self.server.demo is not None and self.server.demo not in public_ids:
            found = did_you_mean(self.server.demo, public_ids)
            message = f"expected the public id of a property, got {shown(self.server.demo)}{found}"
            yield SettingFault("server.demo", message, reads=("server.demo", "property"))
        yield from shared_places(self)
        names = {sink.name for sink in self.sink}
        for at, prop in enumerate(self.property):
            if prop.ack == "shipped" and prop.ack_sink not in names:
                path = f"property[{at}].ack_sink"
                got = "none" if prop.ack_sink is None else shown(prop.ack_sink)
                yield SettingFault(
                    path, f"expected the name of a sink, got {got}", (path, f"property[{at}].ack", "sink")
                )


def _twice(
    name: str, fields: tuple[str, ...], keys: Sequence[Hashable], others: tuple[str, ...] = ()
) -> Iterator[SettingFault]:
    """Yield a fault for each element of a list that has the key of an earlier element, made of `fields`.

    `others` are fields that a key is made of where it has no value of its own.
    """
    first: dict[Hashable, int] = {}
    for at, key in enumerate(keys):
        if (earlier := first.setdefault(key, at)) != at:
            reads = tuple(f"{name}[{index}].{field}" for index in (earlier, at) for field in fields + others)
            same = " and ".join(fields)
            yield SettingFault(
                f"{name}[{at}]",
                f"{same} {'is' if len(fields) == 1 else 'are'} the same as in {{other}}; remove one of the two",
                reads,
                other=f"{name}[{earlier}]",
            )
