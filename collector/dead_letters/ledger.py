"""The ledger of redrives: which dead letters are in the log of redriven events. Reads; the redrive alone writes it."""

import os
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from wal.damage import Damage
from wal.errors import Broken
from wal.files import Files
from wal.folder import LogFolder
from wal.reader import read_from
from wal.tools.listing import end_of_log
from wal.tools.verify import Finding, verify

REDRIVE_LOG: Final = "redrive"
"""The name of the log of redriven events, beside the shards."""
LEDGER: Final = "ledger"
"""The name of the ledger, a log in the folder of that log."""
_ADVICE: Final = (
    "so that a redrive could store letters twice; move this folder out of log.dir, and from then on redrive "
    "only letters that came later (--since) or that you know were not redriven (--id)"
)


class RedrivePlan(Struct):
    """A line of the ledger: these letters, or events of letters, stand in the log of this id from this sequence on."""

    log_id: str
    sequence: int
    letters: list[str]


def redriven_letters(directory: str) -> set[str]:
    """The names of redriven events, from the ledger below the directory of the shards: `ID`, or `ID/INDEX` in a batch.

    Raises Broken, OSError.
    """
    log, ledger = redrive_logs(directory)
    return done_letters(log, ledger) if log.is_log() and ledger.is_log() else set()


def redrive_logs(directory: str) -> tuple[LogFolder, LogFolder]:
    """The log of redriven events below the directory of the shards, and its ledger. Neither need exist."""
    log = LogFolder(Files(), os.path.join(directory, REDRIVE_LOG))
    return log, LogFolder(log.files, log.file(LEDGER))


def ledger_faults(directory: str) -> Iterator[str]:
    """The damage of the ledger below the directory of the shards, recorded or not: either stops every redrive.

    Raises Unreadable, OSError.
    """
    _, ledger = redrive_logs(directory)
    for step in verify(ledger) if ledger.is_readable_log() else ():
        if isinstance(step, Finding) and step.is_damage:
            yield f"{step}; `collector redrive --dry-run` says what to do"


def done_letters(log: LogFolder, ledger: LogFolder) -> set[str]:
    """The letters that are in the log: of two plans for one place, the earlier was never carried out.

    Raises Broken, OSError.
    """
    plans = {(plan.log_id, plan.sequence): plan.letters for plan in _plans(ledger)}
    found, log_id = end_of_log(log), log.log_id.decode()
    end = found[0].sequence if found else 1
    return {letter for (of, sequence), letters in plans.items() if of != log_id or sequence < end for letter in letters}


def _plans(ledger: LogFolder) -> Iterator[RedrivePlan]:
    start = ledger.oldest()
    if start is None:
        return
    decode = msgspec.json.Decoder(RedrivePlan).decode
    for step in read_from(ledger, start):
        if isinstance(step, Damage):
            raise Broken(ledger.path, step.start.offset, "which letters were redriven", f"damage, {_ADVICE}")
        yield from map(decode, step.payload.splitlines())
