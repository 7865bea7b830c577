"""`collector.toml` as frozen structs: strict, with every setting's unit, bounds and help beside it."""

import ipaddress
import os
import tomllib
from collections.abc import Hashable, Sequence
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from collector import sink_config
from collector.errors import BadSettings
from collector.sink_config import Name, Seconds

EVENT_FIELDS: Final = ("ea", "ec", "sid", "aid", "uid")
"""Fields that a property can require, and does unless told otherwise."""
EVENT_PATHS: Final = ("/event", "/")
OPENAPI_PATH: Final = "/openapi.json"
RELAY_PATH: Final = "/relay"
TAKEN_PATHS: Final = (*EVENT_PATHS, OPENAPI_PATH, RELAY_PATH)

Positive = Annotated[int, Meta(ge=1)]
Identifier = Annotated[int, Meta(ge=1, lt=2**53)]
FromEnvironment = Annotated[str, Meta(pattern=r"\Aenv:[A-Za-z_][A-Za-z0-9_]*\Z")]
Path = Annotated[str, Meta(pattern=r"\A/[A-Za-z0-9._~/-]{1,255}\Z")]


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """The socket, and the processes behind it."""

    host: Annotated[str, Meta(min_length=1, description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="TCP port; 0 takes a free one")] = 8080
    workers: Annotated[int, Meta(ge=1, le=256, description="processes; default: the number of cores")] = (
        os.cpu_count() or 1
    )
    grace_seconds: Annotated[
        int, Meta(ge=1, le=3600, description="at a stop, how long requests and then sinks get to finish")
    ] = 10
    alias: Annotated[Path | None, Meta(description="a further path for events, since ad blockers know `/event`")] = None
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(description="networks, as `10.0.0.0/8`, whose `X-Forwarded-For` or `Forwarded` is believed"),
    ] = ()

    relay_keys: Annotated[
        tuple[FromEnvironment, ...],
        Meta(description="`env:NAME` of keys with which other nodes may ship to `/relay`; none: no such path"),
    ] = ()

    def __post_init__(self) -> None:
        if self.alias in TAKEN_PATHS:
            raise ValueError(f"alias: {self.alias} has its meaning already; expected another path")
        for network in self.trusted_proxies:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ValueError(f"trusted_proxies: {error}; expected e.g. 10.0.0.0/8 or ::1") from None


class Log(Struct, frozen=True, forbid_unknown_fields=True):
    """The log of events."""

    dir: Annotated[str, Meta(min_length=1, description="folder of the shards 00, 01, …")] = "data/log"
    segment_bytes: Annotated[
        int, Meta(ge=1 << 20, le=1 << 30, description="a segment is rotated when it holds this many bytes")
    ] = 64 << 20
    segment_seconds: Annotated[Seconds, Meta(description="… or is this old")] = 60.0
    stall_seconds: Annotated[
        Seconds, Meta(description="while a commit takes longer than this, new requests are shed with 503")
    ] = 1.0
    warn_free_bytes: Annotated[int, Meta(ge=0, description="less room than this on the disk is warned of")] = 2 << 30
    min_free_bytes: Annotated[
        int, Meta(ge=0, description="… and with less than this requests are shed; the rest is for cursors and deletion")
    ] = 512 << 20
    retain_hours: Annotated[
        float, Meta(ge=0, le=100_000, description="delivered segments are kept this long, so that they can be replayed")
    ] = 24.0
    retain_bytes: Annotated[int, Meta(ge=0, description="… but no more than this many bytes of them in a shard")] = (
        10 << 30
    )


class DeadLetters(Struct, frozen=True, forbid_unknown_fields=True):
    """The log of refused events; retained segments are dropped by age and by size."""

    dir: Annotated[str, Meta(min_length=1, description="folder of the shards 00, 01, …, in the log's format")] = (
        "data/dead"
    )
    bytes_per_hour: Annotated[
        Positive, Meta(description="a worker keeps no more bytes an hour than this, so that junk can't fill the disk")
    ] = 64 << 20
    retain_hours: Annotated[float, Meta(ge=0, le=100_000, description="dead letters are kept this long")] = 720.0
    retain_bytes: Annotated[int, Meta(ge=0, description="… but no more than this many bytes of them in a shard")] = (
        1 << 30
    )


class Session(Struct, frozen=True, forbid_unknown_fields=True):
    """Visitors and their sessions."""

    secret: Annotated[
        FromEnvironment | None,
        Meta(
            description="`env:NAME` of the key behind session tokens, visitor ids and redirect signatures, the same on "
            "all nodes; generated if not set"
        ),
    ] = None
    timeout_seconds: Annotated[Seconds, Meta(description="a session ends this long after its last hit")] = 1800.0


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """What one request may be."""

    event_bytes: Annotated[int, Meta(ge=1024, le=128 << 10, description="bytes of one event")] = 64 << 10
    body_bytes: Annotated[int, Meta(ge=1024, le=6 << 20, description="bytes of a body, also when inflated")] = 5 << 20
    batch_events: Annotated[int, Meta(ge=1, le=10_000, description="events in one body")] = 1000
    inflation_ratio: Annotated[
        int, Meta(ge=1, le=10_000, description="bytes that a byte of a compressed body may become, above 64 KiB")
    ] = 100
    url_bytes: Annotated[int, Meta(ge=1024, le=64 << 10, description="bytes of a URL")] = 20 << 10
    nesting: Annotated[int, Meta(ge=1, le=256, description="levels of arrays and objects in an event")] = 64
    header_seconds: Annotated[Seconds, Meta(description="time for all headers to arrive")] = 10.0
    body_seconds: Annotated[Seconds, Meta(description="time for the whole body to arrive, or an answer to leave")] = (
        10.0
    )
    connections: Annotated[Positive, Meta(description="connections that a worker holds open")] = 10_000
    in_flight_bytes: Annotated[
        int, Meta(ge=8 << 20, description="bytes of bodies that a worker holds at a time; above, requests are shed")
    ] = 256 << 20


class Property(Struct, frozen=True, forbid_unknown_fields=True):
    """A data source of a portal."""

    portal_id: Annotated[Identifier, Meta(description="the business account")]
    prop_id: Annotated[Identifier, Meta(description="the data source of that account")]
    source: Annotated[Name, Meta(description="what kind it is: `web`, `android`, `ios`, `pos`, …")] = "web"
    origins: Annotated[
        tuple[str, ...], Meta(description="origins of pages that may send, `*` or none listed: any")
    ] = ()
    redirect_hosts: Annotated[
        tuple[str, ...], Meta(description="hosts that a click may lead to, `*.example.com` for those below")
    ] = ()
    required: Annotated[
        tuple[Literal["ea", "ec", "sid", "aid", "uid"], ...], Meta(description="fields that an event must have")
    ] = EVENT_FIELDS
    write_keys: Annotated[
        tuple[FromEnvironment, ...],
        Meta(description="`env:NAME` of keys, one of which a request must show; several are for their rotation"),
    ] = ()
    events_per_second: Annotated[
        float, Meta(ge=0, le=1e9, description="above this rate requests get 429; each worker allows its share; 0: none")
    ] = 0.0
    rejects_per_second: Annotated[
        float,
        Meta(gt=0, le=1e9, description="above this rate of refused events their requests get 429, and no dead letter"),
    ] = 10_000.0
    ip: Annotated[
        Literal["full", "truncate", "drop"], Meta(description="what is stored of an address: `truncate` to /24 or /48")
    ] = "full"
    user_agent: Annotated[Literal["full", "drop"], Meta(description="whether the user agent is stored")] = "full"
    ack: Annotated[
        Literal["fsync", "shipped"],
        Meta(description="what a 200 means: the event is fsynced, or a sink has it too"),
    ] = "fsync"
    ack_sink: Annotated[Name | None, Meta(description="the name of the sink that `shipped` waits for")] = None
    ack_seconds: Annotated[
        Seconds, Meta(description="… this long; then the answer is 503, with the event in the log all the same")
    ] = 5.0
    cookies: Annotated[
        bool, Meta(description="whether a `web` property keeps the session in a cookie, where the visitor allows it")
    ] = True

    def __post_init__(self) -> None:
        for origin in self.origins:
            parts = urlsplit(origin)
            if origin != "*" and (origin != f"{parts.scheme}://{parts.netloc}".lower() or not parts.netloc):
                raise ValueError(f"origins: expected e.g. https://shop.example.com, found {origin!r}")
        for host in self.redirect_hosts:
            name = host.removeprefix("*.")
            if not name or name != name.lower() or set(name) & set("*/:@ ") or not name.isascii():
                raise ValueError(f"redirect_hosts: expected e.g. shop.example.com or *.example.com, found {host!r}")


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of `collector.toml`."""

    server: Server = Server()
    log: Log = Log()
    dead_letters: DeadLetters = DeadLetters()
    session: Session = Session()
    limits: Limits = Limits()
    property: tuple[Property, ...] = ()
    sink: tuple[sink_config.Sink, ...] = ()

    def __post_init__(self) -> None:
        _refuse_twice("property", [(each.portal_id, each.prop_id) for each in self.property])
        _refuse_twice("sink", [each.name for each in self.sink])
        sinks = {sink.name for sink in self.sink}
        for at, each in enumerate(self.property):
            if each.ack == "shipped" and each.ack_sink not in sinks:
                raise ValueError(f"property[{at}].ack_sink: expected the name of a sink, found {each.ack_sink!r}")
        if self.limits.event_bytes > self.limits.body_bytes:
            raise ValueError("limits.event_bytes: expected at most limits.body_bytes")
        if self.limits.in_flight_bytes < self.limits.body_bytes:
            raise ValueError("limits.in_flight_bytes: expected at least limits.body_bytes")


def load_settings(path: str) -> Settings:
    """The settings in a file; folders in it are relative to the file's own. Raises BadSettings."""
    try:
        with open(path, "rb") as file:
            values = tomllib.load(file)
        _check_sink_types(values.get("sink"))
        settings = msgspec.convert(values, Settings)
    except OSError as error:
        raise BadSettings(f"{path}: {error.strerror}; name a file with --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise BadSettings(f"{path}: {_readable(str(error))}") from None
    return _resolved(settings, os.path.dirname(os.path.abspath(path)))


def _check_sink_types(sinks: object) -> None:
    """A type is always named, so that a file stays right when there are more of them."""
    for at, sink in enumerate(sinks if isinstance(sinks, list) else []):
        if isinstance(sink, dict) and sink.get("type") not in sink_config.TYPES:
            kinds = ", ".join(f"`{kind}`" for kind in sink_config.TYPES)
            raise msgspec.ValidationError(f"expected {kinds}, got {sink.get('type')!r} - at `$.sink[{at}].type`")


def _refuse_twice(name: str, keys: Sequence[Hashable]) -> None:
    seen: set[Hashable] = set()
    for at, key in enumerate(keys):
        if key in seen:
            raise ValueError(f"{name}[{at}]: {key!r} is there twice; expected each once")
        seen.add(key)


def _readable(message: str) -> str:
    """msgspec's "Expected …, got … - at `$.sink[0].dir`" with the path in front."""
    what, _, path = message.partition(" - at `$")
    where = path.removesuffix("`").removeprefix(".")
    return f"{where}: {what}" if where else what


def _resolved(settings: Settings, folder: str) -> Settings:
    def below(path: str) -> str:
        return os.path.join(folder, path)

    return msgspec.structs.replace(
        settings,
        log=msgspec.structs.replace(settings.log, dir=below(settings.log.dir)),
        dead_letters=msgspec.structs.replace(settings.dead_letters, dir=below(settings.dead_letters.dir)),
        sink=tuple(
            msgspec.structs.replace(sink, dir=below(sink.dir)) if isinstance(sink, sink_config.FileSink) else sink
            for sink in settings.sink
        ),
    )
