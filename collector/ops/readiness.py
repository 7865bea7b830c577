"""Whether a worker could acknowledge an event now, and if not, why. Pure: knows neither logs nor requests.

No sink counts: events that a sink does not take wait in the log.
"""

from enum import StrEnum
from typing import Final, NamedTuple


class NotReady(StrEnum):
    """Why a worker can't acknowledge events. The values are stable."""

    HUNG = "hung"
    POISONED = "poisoned"
    DRAINING = "draining"
    LOG_NOT_OPEN = "log_not_open"
    STALLED = "stalled"
    DISK_FULL = "disk_full"
    COMMIT_REFUSED = "commit_refused"


EXPLANATIONS: Final[dict[str, str]] = {
    NotReady.HUNG: "the worker has not run for 5 s: it hangs, is stopped, or the machine is overloaded",
    NotReady.POISONED: "an fsync failed; the worker restarts and recovers its log",
    NotReady.DRAINING: "the collector is stopping",
    NotReady.LOG_NOT_OPEN: "the log can't be opened yet; the process log has the reason",
    NotReady.STALLED: "the disk has not answered for log.stall_seconds",
    NotReady.DISK_FULL: "the disk has no room, or less than log.min_free_bytes; make room on it",
    NotReady.COMMIT_REFUSED: "the disk refused the last commit, or there was no file descriptor (ulimit -n)",
}


class Facts(NamedTuple):
    """The state of a worker and of its log."""

    is_draining: bool = False
    is_open: bool = True
    """Whether the log is open. The other facts need one that is."""
    is_poisoned: bool = False
    is_stalled: bool = False
    """Whether a commit has taken longer than `log.stall_seconds`."""
    is_full: bool = False
    """Whether the disk has less room than its reserve, or has just refused a commit for want of room."""
    is_refusing: bool = False
    """Whether the disk has just refused a commit for another reason."""


def reason_not_ready(facts: Facts) -> NotReady | None:
    """The reason that takes longest to pass; None if the worker is ready."""
    reasons = (
        (facts.is_poisoned, NotReady.POISONED),
        (facts.is_draining, NotReady.DRAINING),
        (not facts.is_open, NotReady.LOG_NOT_OPEN),
        (facts.is_stalled, NotReady.STALLED),
        (facts.is_full, NotReady.DISK_FULL),
        (facts.is_refusing, NotReady.COMMIT_REFUSED),
    )
    return next((reason for holds, reason in reasons if holds), None)
