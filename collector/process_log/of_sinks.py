"""Events of the sinks: each change of their state is one line."""

import logging

from collector.process_log.event import ProcessLogEvent


class SinkUp(ProcessLogEvent, frozen=True):
    """A sink has taken a batch again, after this many failures, or after one long attempt."""

    level = logging.INFO
    text = "sink {sink}: up again after {failures:failure}"
    sink: str
    failures: int


class SinkWaiting(ProcessLogEvent, frozen=True):
    """An attempt takes long. Events wait in the log."""

    page = "TracklogSinkLagging"
    text = "sink {sink}: no answer yet to {purpose}, for {seconds:.0f} s now"
    sink: str
    purpose: str
    seconds: float


class SinkRetrying(ProcessLogEvent, frozen=True):
    """A sink that was up has failed. Events wait in the log."""

    page = "TracklogSinkDown"
    text = "sink {sink}: {error}; retrying, again in {pause_seconds:.1f} s"
    sink: str
    error: str
    pause_seconds: float


class SinkDown(ProcessLogEvent, frozen=True):
    """A sink has failed five times in a row, and is only probed now. Events wait in the log."""

    page = "TracklogSinkDown"
    text = "sink {sink}: {error}; down, again in {pause_seconds:.1f} s"
    sink: str
    error: str
    pause_seconds: float


class SinkStopped(ProcessLogEvent, frozen=True):
    """A sink gets nothing more until a person has acted. Events wait in the log."""

    level = logging.CRITICAL
    page = "TracklogSinkStopped"
    text = "sink {sink} stopped: {error}"
    sink: str
    error: str


class SinkBug(ProcessLogEvent, frozen=True):
    """The code of a sink raised what it never should. It counts as a failure of the sink, and is tried again."""

    level = logging.ERROR
    page = "TracklogBug"
    text = "sink {sink}: unforeseen error: {error}"
    sink: str
    error: str


class ShipperBug(ProcessLogEvent, frozen=True):
    """A bug ended a shipper, which is started again."""

    level = logging.ERROR
    page = "TracklogBug"
    text = "sink {sink}: it ended by a bug, {times} times in a row"
    sink: str
    times: int


class SinkElsewhere(ProcessLogEvent, frozen=True):
    """The sink's own mark differs from the cursor, and is followed: the sink knows better what it has."""

    text = "sink {sink}: it goes on at sequence {sequence}, our cursor says {cursor}"
    sink: str
    sequence: int
    cursor: int


class SinkBehind(ProcessLogEvent, frozen=True):
    """The sink's own mark is behind the cursor: it was restored, or another folder stands in its place.

    Delivery goes on at the cursor. An event that an HTTP receiver refused for good is behind the cursor, too.
    """

    is_lasting = True
    text = (
        "sink {sink}: by its own mark it lacks the events from {first} to {last} of {log}, which were delivered; "
        "was it restored, or not mounted for a while? `collector replay` sends them again"
    )
    sink: str
    log: str
    first: int
    last: int


class EventsGone(ProcessLogEvent, frozen=True):
    """A sink has lost what was delivered to it, and the log does not have it any more either."""

    level = logging.ERROR
    page = "TracklogDamageFound"
    text = "{log}: a sink lacks the events from {first} to {last}, and they are gone here"
    log: str
    first: int
    last: int


class SinkStateUnsaved(ProcessLogEvent, frozen=True):
    """`collector sink ls` shows an old state of a sink, until the file can be written again."""

    page = "TracklogDiskFull"
    text = "{path}: {error}; it is written again soon"
    path: str
    error: str


class ReplayRetrying(ProcessLogEvent, frozen=True):
    """`collector replay` tries a batch again."""

    text = "sink {sink}: {error}; again in {pause_seconds:.1f} s"
    sink: str
    error: str
    pause_seconds: float


class ReplayGap(ProcessLogEvent, frozen=True):
    """`collector replay` has passed over damage; the events in it are not sent."""

    page = "TracklogDamageFound"
    text = "{path}: {damage}"
    path: str
    damage: str
