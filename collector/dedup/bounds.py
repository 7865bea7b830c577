"""How much the index may hold, pure."""

from typing import Final, NamedTuple

PAGE_BYTES: Final = 4096
OPERATIONS: Final = 128
"""Entries added or evicted in one transaction.

The pages that these change, at most 400, fit into one page of LMDB's list of free pages. A longer list would need
several pages in a row, which a full map may not have.
"""
EVICTIONS: Final = 16
"""Entries evicted for an entry that is added while pages are short.

It is enough whatever the keys: a page is added for 37 entries at most, so the tenth of the map that `bounds_of` keeps
free lasts until the entries are few enough to need less room even in pages that are a quarter full, as LMDB's worst are.
"""
_GARBAGE_PAGES: Final = 512
"""Pages of the last two transactions, which LMDB does not use again yet."""


class Bounds(NamedTuple):
    """The most entries, and the most pages that the trees of the index may have before entries are evicted."""

    entries: int
    pages: int


def bounds_of(entries: int, map_bytes: int) -> Bounds:
    """The bounds of an index of `map_bytes` that is to hold at most so many entries."""
    pages = map_bytes // PAGE_BYTES
    return Bounds(entries, pages - pages // 10 - _GARBAGE_PAGES)
