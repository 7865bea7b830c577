"""What can go wrong in a log, as types. Each message says what, where and what to do next."""


class WalError(Exception):
    """Base of all errors of a log."""


class LogClosed(WalError):
    """The log takes no more appends: it is closed, or being closed."""


class LogFull(WalError):
    """The bytes could not be taken: no room on the disk, or too much is waiting for it. A later append may succeed."""


class LogPoisoned(WalError):
    """An fsync failed, so what the disk holds is unknown. Only recovery, at the next start, can tell."""


class LogLocked(WalError):
    """Another process is the writer of this log."""


class RecordTooLarge(WalError):
    """A line is over the format's limit."""


class Corrupt(WalError):
    """Bytes that are not what the format says. Attributes: path, offset (bytes), expected, found."""

    def __init__(self, path: str, offset: int, expected: str, found: str) -> None:
        super().__init__(f"{path}: at byte {offset}: expected {expected}, found {found}")
        self.path = path
        self.offset = offset
        self.expected = expected
        self.found = found


class Broken(Corrupt):
    """Whole blocks or segments that do not follow one another: one is lost, swapped or copied in. A person decides."""


class MissingSegment(Broken):
    """A segment that must be there and is not."""


class ForeignLog(Broken):
    """A segment that another log wrote."""


class Unreadable(WalError):
    """The disk can't give bytes back. Nothing is cut off or gone past for that: a copy may still have them."""
