"""The table `[dedup]` of `collector.toml`."""

from typing import Annotated

from msgspec import Meta, Struct


class DedupSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The index of event ids, one for all workers of a node."""

    dir: Annotated[str, Meta(min_length=1, description="folder of the index, which is made from the logs if lost")] = (
        "data/dedup"
    )
    entries: Annotated[
        int, Meta(ge=1000, le=1_000_000_000, description="the most ids that are remembered; the oldest go first")
    ] = 1_000_000
    bytes: Annotated[
        int,
        Meta(
            ge=16 << 20,
            le=256 << 30,
            description="the most bytes of the index on the disk; a million ids need about 150 MB",
        ),
    ] = 160 << 20
