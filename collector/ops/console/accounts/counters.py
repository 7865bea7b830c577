"""The accounts that the counters of all workers hold. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from collector.ingest.accounts.settling import PLACE, sequence_of
from collector.ops.console.accounts.store import OTHERS, Account
from collector.ops.counters import Key
from collector.ops.metric_table import DUPLICATE, OTHER, REJECTED, SHED, STORED, UNKNOWN

STORED_CODE: Final = "stored"
DUPLICATE_CODE: Final = "duplicate"
REJECTED_CODE: Final = "rejected "
SHED_CODE: Final = "shed "
"""Before the code of the response."""
NO_PROPERTY: Final = "(none)"
"""Of requests that name no property in a valid way."""
_CODES: Final = {
    STORED.name: STORED_CODE,
    DUPLICATE.name: DUPLICATE_CODE,
    REJECTED.name: REJECTED_CODE,
    SHED.name: SHED_CODE,
}


def counts_in(counters: Mapping[Key, int]) -> dict[Account, int]:
    """The events by property and code."""
    return {
        (property_of(labels), _CODES[name] + "".join(labels[2:])): value
        for (name, *labels), value in counters.items()
        if name in _CODES
    }


def unknown_in(counters: Mapping[Key, int]) -> int:
    """Requests that name no property that exists."""
    return counters.get((UNKNOWN.name,), 0)


def places_in(blocks: Iterable[Mapping[Key, int]]) -> dict[str, int]:
    """The sequence of each shard before which its events are counted. `blocks` are the counters of each worker."""
    found: dict[str, int] = {}
    for counters in blocks:
        for (name, *labels), value in counters.items():
            if name == PLACE and value:
                found[labels[0]] = max(found.get(labels[0], 0), sequence_of(value))
    return found


def property_of(labels: Iterable[str]) -> str:
    """The name of a property by the labels of its counters."""
    portal, prop, *_ = labels
    if portal == OTHER:
        return OTHERS
    return f"{portal}/{prop}" if portal else NO_PROPERTY
