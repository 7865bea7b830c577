"""The errors of a log. Each message says what is wrong, where, and what to do next."""

import errno
from typing import Final, Self

NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors that end when somebody makes room on the disk."""
PASSING: Final = (*NO_ROOM, errno.EMFILE, errno.ENFILE)
"""Errors that end by themselves or when somebody makes room, so that another attempt may succeed."""
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
        """A copy to raise instead of this one, which is stored.

        Raising a stored error would keep its traceback alive, with all frames in it and every record they refer to.
        """
        return type(self)(*self.args)


class LogClosed(WalError):
    """The log is closed or closing, and takes no more appends."""


class LogFull(WalError):
    """Nothing was appended: no room on the disk, no file descriptor, or too many bytes waiting for the disk.

    A later append may succeed.
    """


class LogPoisoned(WalError):
    """An fsync failed, so the content of the disk is unknown until the next start recovers the log."""


class LogLocked(WalError):
    """Another process is the writer of this log."""


class RecordTooLarge(WalError):
    """A line or a block is over the format's limit."""


class NoLog(FileNotFoundError):
    """There is no log at a path, nor in a folder of it."""


class Corrupt(WalError):
    """Bytes that violate the format. Attributes: path, offset (bytes), found."""

    def __init__(self, path: str, offset: int, expected: str, found: str) -> None:
        super().__init__(f"{path}: at byte {offset}: expected {expected}, found {found}")
        self.path = path
        self.offset = offset
        self.found = found


class Broken(Corrupt):
    """Whole blocks or segments that do not continue the log: lost, swapped or copied in. A person must decide."""


class MissingSegment(Broken):
    """A segment is missing."""


class ForeignLog(Broken):
    """A segment was written by another log."""


class Unreadable(WalError):
    """The disk cannot return bytes. They are neither cut off nor skipped, since a copy may still have them."""


def cause_of(error: OSError) -> str:
    """The cause in words, for example "out of file descriptors"."""
    return _CAUSES.get(error.errno or 0) or error.strerror or str(error)


def advice_on(error: OSError) -> str:
    """The remedy in words, for example "raise ulimit -n"."""
    return _ADVICE.get(error.errno or 0, "look for the disk's errors in dmesg")


def explain(error: OSError, place: str) -> str:
    """A whole message: the file that the error names, or `place`; then the cause and the remedy."""
    return f"{error.filename or place}: {cause_of(error)}; {advice_on(error)}"
