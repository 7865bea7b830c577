"""Events of the logs: recovery, damage, retention, dead letters, and shards that change hands."""

import logging

from collector.process_log.event import ProcessLogEvent


class LogOpened(ProcessLogEvent, frozen=True):
    """A log is open, of events or of dead letters; recovery found this."""

    level = logging.INFO
    text = "{log}: open at sequence {sequence}; recovery found {damages:damage} and cut {torn_bytes} torn bytes off"
    log: str
    sequence: int
    damages: int
    torn_bytes: int


class DamageFound(ProcessLogEvent, frozen=True):
    """Bytes that were durable can't be read any more. The events in them are lost here, and counted as damaged."""

    level = logging.ERROR
    page = "TracklogDamageFound"
    text = "{log}: {damage}; see damage.ndjson there"
    log: str
    damage: str


class TornWriteCut(ProcessLogEvent, frozen=True):
    """A crash came within a write. No client was told that its events are stored, so nothing is lost."""

    text = (
        "{segment}: a crash left a torn write of {bytes} bytes at byte {offset}, of which nobody was told that it is "
        "stored; it was cut off and is kept in {kept_at}"
    )
    segment: str
    bytes: int
    offset: int
    kept_at: str


class LogDelayed(ProcessLogEvent, frozen=True):
    """A worker serves without its log, with 503 for each event, and tries again each second."""

    level = logging.ERROR
    page = "TracklogNotReady"
    text = "the log can't be opened yet, so every event gets 503: {reason}"
    reason: str


class LogAvailable(ProcessLogEvent, frozen=True):
    """The log that was delayed is open."""

    page = "TracklogNotReady"
    text = "{log}: the log is open, events are taken from now on"
    log: str


class IdsRead(ProcessLogEvent, frozen=True):
    """The index of event ids was lost, or a property remembers more: so ids were read from the logs."""

    level = logging.INFO
    text = "{directory}: read {ids} event ids from the logs into the index"
    directory: str
    ids: int


class IdsIncomplete(ProcessLogEvent, frozen=True):
    """A log could not be read whole, so an event in it that is sent again is stored twice."""

    page = "TracklogIdsIncomplete"
    text = "event ids of a log are not known, so its events may be stored twice if they are sent again: {fault}"
    fault: str


class CloseFailed(ProcessLogEvent, frozen=True):
    """The last commit of a log failed at a stop; its clients were not told 200."""

    page = "TracklogDiskFull"
    text = "at the close of a log: {error}"
    error: str


class EvictionFailed(ProcessLogEvent, frozen=True):
    """Shipped bytes stay in memory longer than needed."""

    is_lasting = True
    text = "{log}: shipped bytes stay in the page cache: {error}"
    log: str
    error: str


class DropFailed(ProcessLogEvent, frozen=True):
    """Delivered segments could not be deleted; the log grows until they can."""

    is_lasting = True
    page = "TracklogDiskFull"
    text = "{log}: no segment was dropped: {error}"
    log: str
    error: str


class SinksBehind(ProcessLogEvent, frozen=True):
    """A stop had no time left for these sinks. The next start goes on where they are."""

    page = "TracklogSinkLagging"
    text = "{log}: {sinks} sinks are behind; the next start goes on there"
    log: str
    sinks: int


class ShardAdopted(ProcessLogEvent, frozen=True):
    """This worker ships the shard of a worker that is gone."""

    level = logging.INFO
    text = "{log}: adopted, its worker is gone"
    log: str


class ShardReleased(ProcessLogEvent, frozen=True):
    """An adopted shard could not be shipped whole, because these sinks are not up."""

    page = "TracklogSinkDown"
    text = "{log}: let go of, behind: sink {sinks}; adopted again in {pause_seconds:.0f} s"
    log: str
    sinks: tuple[str, ...]
    pause_seconds: float


class ShardStuck(ProcessLogEvent, frozen=True):
    """A shard without a worker can't be opened; its events wait until a person has acted."""

    level = logging.CRITICAL
    is_lasting = True
    page = "TracklogDamageFound"
    text = "an orphaned shard can't be shipped: {error}"
    error: str


class ShardsUnlisted(ProcessLogEvent, frozen=True):
    """The folder of the shards can't be listed, so that none is adopted for now."""

    is_lasting = True
    page = "TracklogDiskFull"
    text = "no shard is looked at: {error}"
    error: str


class ShardUnlocked(ProcessLogEvent, frozen=True):
    """The lock of a shard can't be opened, so that it is not adopted for now."""

    is_lasting = True
    page = "TracklogDiskFull"
    text = "{log}: this shard can't be looked at: {error}"
    log: str
    error: str


class ShardUnreadable(ProcessLogEvent, frozen=True):
    """A shard without a worker can't be read, so that it is not adopted for now."""

    is_lasting = True
    page = "TracklogDamageFound"
    text = "{log}: nobody holds this shard, and it can't be read: {error}"
    log: str
    error: str


class ShardCopied(ProcessLogEvent, frozen=True):
    """Two folders of `log.dir` hold one log, so one is a copy. Of the two, what no worker holds is left alone."""

    is_lasting = True
    page = "TracklogIdsIncomplete"
    text = "{log}: this shard is neither written nor shipped: {other} has the same id; move the copy away"
    log: str
    other: str


class DeadLettersOverShare(ProcessLogEvent, frozen=True):
    """A property's refused events are answered as ever, but no longer kept until the hour is over."""

    page = "TracklogDeadLettersRise"
    text = (
        "dead letters of property {portal_id}/{prop_id} are over its share of dead_letters.bytes_per_hour = "
        "{bytes_per_hour}; those that come until the hour is over are not kept"
    )
    portal_id: int
    prop_id: int
    bytes_per_hour: int


class DeadLettersUnreadable(ProcessLogEvent, frozen=True):
    """Lines in the log of dead letters are no dead letters."""

    page = "TracklogDamageFound"
    text = "{folder}: {lines} lines are not dead letters and were passed over"
    folder: str
    lines: int


class CursorDamaged(ProcessLogEvent, frozen=True):
    """The file that says how far a sink is can't be read. Its sink stops; the others go on."""

    page = "TracklogDamageFound"
    text = "{damage}"
    damage: str


class DiskLow(ProcessLogEvent, frozen=True):
    """The disk has less room than `log.warn_free_bytes`."""

    page = "TracklogDiskFull"
    text = "{log}: {room}"
    log: str
    room: str


class SegmentsGivenUp(ProcessLogEvent, frozen=True):
    """Delivered segments were deleted for want of room, before the time or the bytes that they are kept for."""

    page = "TracklogDiskFull"
    text = (
        "{log}: the disk is short: {segments} delivered segments ({bytes} bytes) are given up "
        "before their retention is over"
    )
    log: str
    segments: int
    bytes: int
