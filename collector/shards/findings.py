"""What the recovery of a log found, for the process log."""

from collector.process_log.of_shards import DamageFound, LogOpened, TornWriteCut
from wal.log import Log


def write_findings(log: Log) -> None:
    """Write what recovery found in a log that has just been opened."""
    directory, torn = log.folder.path, log.torn
    for damage in log.damages:
        DamageFound(directory, str(damage)).write()
    if torn:
        TornWriteCut(torn.path, torn.length, torn.offset, torn.kept_at).write()
    LogOpened(directory, log.end.sequence, len(log.damages), torn.length if torn else 0).write()
