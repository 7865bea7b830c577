"""The parts of a request of an SDK, pure: the events of each property, for which rates and bounds hold together."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Final, NamedTuple

from collector.ingest.policy.rate_limit import TokenBucket, check_rate
from collector.ingest.record import EVENT_BYTES, REQUEST_BYTES, without_headers
from collector.ingest.request import EventRequest
from collector.ingest.storing.outcome import EventBatch

_LETTER_BYTES: Final = 400
"""Bytes that the dead letter of a further part may take beyond those of its events."""


class RequestPart(NamedTuple):
    """The events of a request for one property."""

    request: EventRequest
    batch: EventBatch


def check_rates(parts: Sequence[RequestPart], now: float) -> None:
    """Raise TooFast if any property may not send its events at `now` (monotonic seconds): then none is stored."""
    events: Counter[TokenBucket] = Counter()
    for request, batch in parts:
        rate = request.context.prop.rate
        if rate and batch.records and request.is_stored:
            events[rate] += len(batch.records)
    for rate, number in events.items():
        check_rate(rate, number, now)


def fitted(parts: Sequence[RequestPart], sent: int) -> list[RequestPart]:
    """The parts, with the last records without user agent and referer if all are too long for the bytes sent.

    One request may add so many bytes to the log, however many properties it is for. A user agent that a batch tells
    once is in the record of each event.
    """
    records = [record for part in parts for record in part.batch.records]
    room = sent + EVENT_BYTES * len(records) + REQUEST_BYTES - _LETTER_BYTES * (len(parts) - 1)
    excess = sum(map(len, records)) - room
    for at in reversed(range(len(records) if excess > 0 else 0)):
        shorter = without_headers(records[at])
        excess -= len(records[at]) - len(shorter)
        records[at] = shorter
        if excess <= 0:
            break
    left = iter(records)
    return [
        part._replace(batch=part.batch._replace(records=list(islice(left, len(part.batch.records))))) for part in parts
    ]
