"""The rows of the live list. Pure.

A row is a summary: a dozen fields, each cut, and the place of its line, so that everything else can be read again.
"""

from typing import Final, NamedTuple

from msgspec import Struct

STORED: Final = "stored"
REJECTED: Final = "rejected"
DEAD: Final = "dead"
DUPLICATE: Final = "duplicate"
DAMAGED: Final = "damaged"
"""The kinds: stored events, refusals that left no record, dead letters, events sent before, and damage of a log."""

MOST_CHARACTERS: Final = 200
"""Longer values are cut."""


class BlockPlace(NamedTuple):
    """The members that the rows of a block share."""

    path: str
    """The file of its segment."""
    log_id: str
    timestamp_ms: int
    """Unix ms of the commit."""


class EventRow(Struct, kw_only=True, gc=False):
    """One row. Texts have at most MOST_CHARACTERS; what a line does not have, or holds in another form, is None.

    It refers to texts and numbers alone, so that the garbage collector need not look at 20,000 of them.
    """

    received_ms: int
    """Unix ms; of damage the commit of the block after it."""
    kind: str
    """One of the kinds above."""
    log_id: str | None = None
    """None for refusals that left no record."""
    sequence: int = 0
    property: str | None = None
    """PORTAL/PROP."""
    source: str | None = None
    dialect: str | None = None
    ea: str | None = None
    ec: str | None = None
    uid: str | None = None
    bytes: int | None = None
    """Of the line, or of the damage."""
    warnings: int = 0
    """The number of warnings; of damage the number of lost events."""
    code: str | None = None
    """Why it was refused; of damage its kind; None for stored events."""
    path: str | None = None
    """The file that holds its line; None if there is no line."""
    start: int = 0
    """The first byte of its line in that file."""
    number: int = 0
    """The ring counts its rows."""

    def event_id(self) -> str | None:
        """LOG-SEQ."""
        return None if self.log_id is None else f"{self.log_id}-{self.sequence}"

    def shown(self) -> tuple[object, ...]:
        """The row as the page gets it."""
        return (
            self.number,
            self.event_id(),
            self.received_ms,
            self.kind,
            self.property,
            self.source,
            self.dialect,
            self.ea,
            self.ec,
            self.uid,
            self.bytes,
            self.warnings,
            self.code,
        )
