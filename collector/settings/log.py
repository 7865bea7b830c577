"""The table `[log]` of `collector.toml`, as a frozen struct."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from collector.settings.faults import SettingFault
from collector.settings.fields import Seconds


class LogSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The log of events."""

    dir: Annotated[str, Meta(min_length=1, description="folder of the shards 00, 01, …")] = "data/log"
    segment_bytes: Annotated[
        int, Meta(ge=1 << 20, le=1 << 30, description="a segment is rotated once it holds this many bytes")
    ] = 64 << 20
    segment_seconds: Annotated[Seconds, Meta(description="a segment is rotated once it is this old")] = 60.0
    stall_seconds: Annotated[
        Seconds, Meta(description="while a commit takes longer than this, new requests are shed with 503")
    ] = 1.0
    warn_free_bytes: Annotated[int, Meta(ge=0, description="warn when the disk has less free space than this")] = (
        2 << 30
    )
    min_free_bytes: Annotated[
        int,
        Meta(ge=0, description="shed requests when the disk has less than this; the rest is for cursors and deletion"),
    ] = 512 << 20
    retain_hours: Annotated[
        float, Meta(ge=0, le=100_000, description="how long delivered segments are kept for replay")
    ] = 24.0
    retain_bytes: Annotated[
        int, Meta(ge=0, description="delivered segments are kept up to this many bytes a shard")
    ] = 10 << 30

    def faults(self) -> Iterator[SettingFault]:
        """Rules that need several fields."""
        if self.warn_free_bytes < self.min_free_bytes:
            yield SettingFault(
                "warn_free_bytes",
                f"expected at least log.min_free_bytes, {self.min_free_bytes}, got {self.warn_free_bytes}: "
                "the warning must precede shedding",
                reads=("warn_free_bytes", "min_free_bytes"),
            )
