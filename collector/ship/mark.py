"""The position that a sink itself has stored, and where delivery continues."""

from typing import NamedTuple


class Mark(NamedTuple):
    """The sink has all events of a log before sequence `next`.

    `chain` is the CRC of the header of the block that holds event `next - 1`, as 8 hexadecimal digits. It tells the log
    that was delivered from one that was restored from a backup and went on with other events. It is empty where
    the sink does not know it. `where` tells a person where the mark is kept.
    """

    next: int
    chain: str
    where: str


class Resumption(NamedTuple):
    """The sequence to continue at, and the sink's mark: None if it keeps no marks, or has no event of this log yet."""

    next: int
    mark: Mark | None = None
