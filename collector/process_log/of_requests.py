"""Events that requests cause. What clients can repeat is counted, see `collector.ops.notices`."""

import logging

from collector.process_log.event import ProcessLogEvent


class Repeated(ProcessLogEvent, frozen=True):
    """An event that clients can repeat: its first line tells the count so far, later ones that since the last line."""

    key: str
    count: int
    seconds: float | None
    """Seconds since the last line, None in the first."""

    def message(self) -> str:
        """The text, the key and the count."""
        since = "" if self.seconds is None else f" more in {self.seconds:.0f} s"
        return f"{self.text} {self.key}: {self.count}{since}"


class UnknownProperty(Repeated, frozen=True):
    """Requests name a property that the settings lack. It may be a typing error, or a property that nobody added."""

    page = "TracklogUnknownProperty"
    text = "events refused with 404, unknown property"


class RateExceeded(Repeated, frozen=True):
    """A property sends more than its rate."""

    text = "events refused with 429, over the rate of property"


class SenderRefused(Repeated, frozen=True):
    """Requests came from an origin that is not listed, or without a write key of the property."""

    text = "events refused with 403, wrong origin or write key for property"


class ClickLost(Repeated, frozen=True):
    """Clicks were redirected although their events could not be stored. Those events are lost."""

    page = "TracklogShedding"
    text = "clicks redirected without storing their events, of property"


class DeadLetterLost(Repeated, frozen=True):
    """Refused events could not be kept as dead letters; the client was told of the refusal."""

    page = "TracklogDiskFull"
    text = "refused events left no dead letter:"


class CountsLeftOut(ProcessLogEvent, frozen=True):
    """More keys were counted than a minute has lines; these are the counts of the others, by event."""

    text = "left out in the last {seconds:.0f} s after {lines} lines: {counts}"
    counts: dict[str, int]
    lines: int
    seconds: float


class SheddingBegan(ProcessLogEvent, frozen=True):
    """Requests are refused with 503, because they can't be stored at once. Clients send them again."""

    page = "TracklogShedding"
    text = "requests are shed with 503: {reasons}"
    reasons: dict[str, int]


class SheddingGoesOn(ProcessLogEvent, frozen=True):
    """Requests have been refused for another minute; the counts are from the beginning."""

    page = "TracklogShedding"
    text = "requests have been shed with 503 for {seconds:.0f} s: {reasons}"
    reasons: dict[str, int]
    seconds: float


class SheddingEnded(ProcessLogEvent, frozen=True):
    """No request has been refused for ten seconds, or the worker stops."""

    page = "TracklogShedding"
    text = "shedding has ended after {seconds:.0f} s: {reasons}"
    reasons: dict[str, int]
    seconds: float


class ConnectionBug(ProcessLogEvent, frozen=True):
    """A bug ended a connection. No event was acknowledged on it that is not stored."""

    level = logging.ERROR
    page = "TracklogBug"
    text = "bug in the collector: connection closed"


class ResponseBug(ProcessLogEvent, frozen=True):
    """A bug kept a response from its client; the event may be stored."""

    level = logging.ERROR
    page = "TracklogBug"
    text = "bug in the collector: response not sent"


class RequestBug(ProcessLogEvent, frozen=True):
    """A bug refused a request with 503, so that the client sends it again."""

    level = logging.ERROR
    page = "TracklogBug"
    text = "bug in the collector: request refused with 503"


class RelayStopped(ProcessLogEvent, frozen=True):
    """Another node's log can't be taken here until a person has acted; that node keeps it."""

    level = logging.ERROR
    page = "TracklogSinkStopped"
    text = "log {log_id} can't be relayed: {reason}"
    log_id: str
    reason: str


class RelayFailed(ProcessLogEvent, frozen=True):
    """The disk refused what a relay needs; the other node sends its events again."""

    level = logging.ERROR
    page = "TracklogDiskFull"
    text = "relay failed: {path}: {error}"
    path: str
    error: str
