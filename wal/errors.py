"""What can go wrong in a log, as types. Each message says what, where and what to do next."""

import errno
from typing import Final, Self

NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors that end once somebody makes room on the disk."""
PASSING: Final = (*NO_ROOM, errno.EMFILE, errno.ENFILE)
"""Errors that end by themselves, or once somebody makes room: worth trying again."""
_CAUSES: Final = {
    errno.EMFILE: "out of file descriptors",
    errno.ENFILE: "the system is out of file descriptors",
    errno.EROFS: "the disk is mounted read-only",
}
_ADVICE: Final = {
    errno.EMFILE: "raise ulimit -n or lower limits.connections",
    errno.ENFILE: "raise the kernel's fs.file-max",
    errno.EROFS: "mount it writable; if the kernel did this, look for the disk's errors in dmesg",
    **dict.fromkeys(NO_ROOM, "make room on the disk (df and df -i show how much there is)"),
}


class WalError(Exception):
    """Base of all errors of a log."""

    def anew(self) -> Self:
        """The same error, to be raised where this one is stored.

        A stored error that is raised keeps the traceback, the frames in it, and every record that these refer to.
        """
        return type(self)(*self.args)


class LogClosed(WalError):
    """The log takes no more appends: it is closed, or being closed."""


class LogFull(WalError):
    """The bytes could not be taken: no room on the disk, no file descriptor, or too much waits for the disk.

    A later append may succeed.
    """


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


def cause_of(error: OSError) -> str:
    """What is wrong, in words: "out of file descriptors"."""
    return _CAUSES.get(error.errno or 0) or error.strerror or str(error)


def advice_on(error: OSError) -> str:
    """What to do about it."""
    return _ADVICE.get(error.errno or 0, "see the disk's own messages")


def explain(error: OSError, place: str) -> str:
    """A whole message: where (the file that the error names, else `place`), what is wrong, and what to do."""
    return f"{error.filename or place}: {cause_of(error)}; {advice_on(error)}"
