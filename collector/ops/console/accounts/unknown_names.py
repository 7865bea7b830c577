"""Requests that name no property that exists, by the name in them: as many as the rings of refusals still have."""

from collections.abc import Mapping, Sequence
from typing import Final

from collector.ops.console.accounts.store import DAY_MS, OTHERS, AccountStore, UnknownName
from collector.ops.console.node.rates import NOT_FOUND
from collector.ops.counters import CounterBlock
from collector.ops.refusals import read_refusals

_ACCOUNTED: Final = -1
"""In place of a block: the number of requests that are saved, with or without their name."""


class UnknownNames:
    """Saves the new names from time to time. For one thread."""

    def __init__(self, store: AccountStore, blocks: Sequence[CounterBlock]) -> None:
        """`blocks` are those of all workers."""
        self._store = store
        self._blocks = blocks
        self._numbers: Mapping[int, int] = store.rings()

    def save(self, total: int, unix_ms: int) -> None:
        """Save what has come. `total` is the number of such requests in this boot, those that have left the rings too.

        Raises sqlite3.Error.
        """
        numbers, names, missed = dict(self._numbers), dict[str, UnknownName](), 0
        for at, block in enumerate(self._blocks):
            after = numbers.get(at, 0)
            entries, numbers[at] = read_refusals(block, after)
            missed += numbers[at] - after - len(entries)
            for entry in entries:
                if entry.code == NOT_FOUND:
                    before = names.get(entry.property, UnknownName(entry.property, 0, entry.unix_ms))
                    names[entry.property] = before._replace(requests=before.requests + 1)
        named = sum(name.requests for name in names.values())
        accounted = numbers.get(_ACCOUNTED, 0) + named
        if missed and total > accounted:  # at most those missed: a request is counted just before it is in a ring
            names[OTHERS] = UnknownName(OTHERS, min(missed, total - accounted), unix_ms)
            accounted += names[OTHERS].requests
        if numbers != self._numbers:
            self._store.add_unknown(unix_ms // DAY_MS, names.values(), numbers | {_ACCOUNTED: accounted})
            self._numbers = numbers | {_ACCOUNTED: accounted}
