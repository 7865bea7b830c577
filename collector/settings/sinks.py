"""The one table of sink kinds, and the settings that all of them have.

A kind is a module or folder below collector/ship/sinks/ and one line of `SINK_KINDS`. Its modules are imported when a
settings file names it, so that the settings need neither its code nor its client library.
"""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

from msgspec import Meta, Struct

from collector.settings.faults import KINDS
from collector.settings.fields import Name, Seconds


class SinkKind(NamedTuple):
    """The struct of a kind's settings and the class of its sink, as `module:class` below collector.ship.sinks.

    `once_because` is for the documentation: why each event arrives once. `holdings` is the function that gives an audit
    what a sink of the kind holds; empty if it can't be read.
    """

    settings: str
    sink: str
    once_because: str
    holdings: str = ""


SINK_KINDS: Final = {
    "file": SinkKind(
        "file:FileSinkSettings",
        "file:FileSink",
        "A file is linked into place whole, under a name that follows from its events, and never overwritten.",
        "file:file_holdings",
    ),
    "kafka": SinkKind(
        "kafka.settings:KafkaSinkSettings",
        "kafka.sink:KafkaSink",
        "A transaction holds the events and the cursor; consumers must read with `read_committed`.",
    ),
    "objects": SinkKind(
        "objects.settings:ObjectsSinkSettings",
        "objects.sink:ObjectsSink",
        "An object is created once, under a name that follows from its events: the store must honour "
        "`if-none-match: *`, which each start tries.",
        "objects.sink:objects_holdings",
    ),
    "http": SinkKind(
        "http.settings:HttpSinkSettings",
        "http.sink:HttpSink",
        "The receiver drops an `Idempotency-Key` that it has seen, or tells through `resume_url` what it has. "
        "Any other receiver gets each event at least once.",
    ),
}
"""By the sink's `type`. A kind that needs a client library has it in an extra of the same name."""

SinkName = Annotated[Name, Meta(description="name of the cursor; set it if two sinks have the same type")]
Start = Annotated[
    Literal["oldest", "newest"],
    Meta(description="where a new sink begins: at the `oldest` event that is kept, or at the `newest`"),
]
FlushBytes = Annotated[int, Meta(ge=1, le=64 << 20, description="a batch is sent when this many bytes of events wait")]
FlushSeconds = Annotated[Seconds, Meta(description="a batch is sent when the oldest waiting event waits this long")]


class SinkSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type"):
    """The settings that every sink has. Each kind adds its own, and the defaults of these.

    A setting that has a fault is None while the rules of the settings file run.
    """

    name: SinkName
    start: Start = "oldest"
    flush_bytes: FlushBytes
    flush_seconds: FlushSeconds

    def relative_to(self, _folder: str) -> Self:
        """These settings, with folders relative to that of the settings file."""
        return self

    def folders(self) -> dict[str, str]:
        """The local folders that the sink writes to, by setting: `collector check` sees whether it can."""
        return {}

    def places(self) -> dict[str, str]:
        """Where the sink keeps its files, by setting. Another owner of such a place would take them for its own."""
        return self.folders()

    def environment(self) -> dict[str, dict[str, str]]:
        """The tables whose values may be `env:NAME`, by setting: a start sees whether all are set."""
        return {}


def sink_settings(kind: str) -> type[SinkSettings]:
    """Import the struct of a kind's settings. Raises KeyError for a kind that is not in the table."""
    struct: type[SinkSettings] = _load(SINK_KINDS[kind].settings)
    return struct


def sink_class(settings: SinkSettings) -> Any:
    """Import the class of a sink. Raises ModuleNotFoundError if its client library is not installed."""
    return _load(SINK_KINDS[kind_of(settings)].sink)


def holdings_function(settings: SinkSettings) -> Any:
    """Import the function that tells what a sink holds; None if its kind has none. Raises ModuleNotFoundError."""
    place = SINK_KINDS[kind_of(settings)].holdings
    return _load(place) if place else None


def kind_of(settings: SinkSettings) -> str:
    """The `type` of a sink."""
    return str(settings.__struct_config__.tag)


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"collector.ship.sinks.{module}"), name)


_STRUCTS: Final[Mapping[str, Callable[[], type[SinkSettings]]]] = {
    kind: partial(sink_settings, kind) for kind in SINK_KINDS
}
AnySink = Annotated[SinkSettings, Meta(extra={KINDS: _STRUCTS})]
"""The settings of a sink of any kind."""
