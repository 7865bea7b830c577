"""The index of event ids beside the logs of a node: it is complete before a worker serves with it."""

from collections.abc import Iterable

from collector.dedup.catch_up import catch_up
from collector.dedup.index import DedupIndex
from collector.dedup.windows import Window, Windows
from collector.process_log.of_shards import IdsIncomplete, IdsRead
from collector.settings import PropertySettings, Settings


def complete(index: DedupIndex, settings: Settings, now_ms: int) -> None:
    """Have the index know all ids that these settings remember and that the logs of this node hold. Blocks.

    Raises IndexLost, OSError.
    """
    found = catch_up(index, settings.log.dir, windows_of(settings.property), now_ms)
    if found.added:
        IdsRead(settings.log.dir, found.added).write()
    for fault in found.faults:
        IdsIncomplete(fault).write()


def windows_of(properties: Iterable[PropertySettings]) -> Windows:
    """How long the ids of each property are remembered."""
    return {(prop.portal_id, prop.prop_id): Window(prop.dedup_ms, prop.dialects_dedup_ms) for prop in properties}
