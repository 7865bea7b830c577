"""The accounts of events, by property: received = stored + duplicate + rejected + shed + waiting for the disk.

An event is received when its request is whole, or refused before. Then one of these comes, once:

    append  -> its block is fsynced: stored;  its block fails: shed
    repeat  -> duplicate: an event with its id is in the log already
    refuse  -> rejected, by the code of the response; or shed, if that is a 503

`EventRequest.events` holds the events of a request for which none of them has come yet.
"""

import asyncio
import os
from collections.abc import Collection
from functools import partial
from typing import Final

from collector.dedup.layout import Place
from collector.errors import NotFound, Refusal
from collector.http.status import UNAVAILABLE
from collector.ingest.accounts.settling import PLACE, pack
from collector.ingest.policy.properties import Property
from collector.ingest.request import EventRequest
from collector.ops.counters import CounterBlock, Key
from collector.ops.metric_table import CLIENT_LOST, DUPLICATE, OTHER, RECEIVED, REJECTED, SHED, STORED, UNKNOWN
from collector.ops.refusals import ENTRIES, RefusalRing
from wal.committer import Committer

_MOST_PROPERTIES: Final = 1000
_REPEATED: Final = "duplicate"
_NONE: Final = b""
"""In place of `Property.members`, for a request that names no property."""

_Events = dict[bytes, int]
"""Events by `Property.members`: bytes keep their hash, and a pair of ids would take 0.1 us more."""


class Accounts:
    """The accounts of a worker, for the events that are appended to one log."""

    def __init__(self, block: CounterBlock, committer: Committer) -> None:
        self._block = block
        self.refusals: Final = RefusalRing(block)
        self._committer = committer
        self._place = block.slot(PLACE, os.path.basename(committer.log.folder.path))
        block.values[self._place] = pack(committer.durable)
        self._values = block.values
        self._labels: dict[bytes, Key] = {}
        self._received: dict[bytes, int] = {}
        self._stored: dict[bytes, int] = {}
        self._durable: asyncio.Future[None] | None = None
        self._waiting: _Events = {}
        """The events in the block of `_durable`."""
        self._unknown = block.slot(UNKNOWN.name)
        self._known = {key[1:] for key in block.read() if key[0] == RECEIVED.name}
        """Portal and property of those that have labels of their own."""

    def receive(self, request: EventRequest) -> None:
        """Count a whole request as one event."""
        if request.is_stored:
            request.events = 1
            prop = request.context.prop
            slot = self._received.get(prop.members)  # a call of `_receive` would double the cost, 0.1 us
            if slot is None:
                self._receive(prop, 1)
            else:
                self._values[slot] += 1

    def split(self, request: EventRequest, events: int) -> None:
        """Count a received request as the events of its batch instead."""
        if request.is_stored:
            request.events = events
            self._receive(request.context.prop, events - 1)

    def append(self, request: EventRequest, events: int, durable: asyncio.Future[None]) -> None:
        """Count events of a request as stored when the future of their block is done, and those lost before them."""
        request.events = (request.events or 0) - events
        if durable is not self._durable:
            self._durable, self._waiting = durable, {}
            durable.add_done_callback(partial(self._settle, self._waiting))
        members, waiting = request.context.prop.members, self._waiting
        waiting[members] = waiting.get(members, 0) + events
        if request.lost:
            durable.add_done_callback(partial(self._lose, members, request.lost))

    def repeat(self, request: EventRequest, firsts: Collection[Place]) -> None:
        """Count events of a request as duplicates of these others in the log."""
        request.events = (request.events or 0) - len(firsts)
        prop = request.context.prop
        self._block.add(len(firsts), DUPLICATE.name, *self._labels[self._open(prop)])
        name = f"{prop.portal_id}/{prop.prop_id}"
        for first in [*firsts][-ENTRIES:]:
            self.refusals.add(_REPEATED, name, request.head.path, b"%b-%d" % (first.log_id, first.sequence))

    def refuse(self, request: EventRequest, refusal: Refusal, events: int | None = None) -> None:
        """Count events of a request as refused; without `events`, all that are still pending.

        A request that is refused before it is whole counts as one event.
        """
        if not request.is_stored:
            return
        if request.events is None:
            self.receive(request)
        number = request.events or 0 if events is None else events
        if number:
            request.events = (request.events or 0) - number
            self._refuse(self._open(request.context.prop), refusal, number)

    def refuse_unread(self, prop: Property | None, refusal: Refusal) -> None:
        """Count a request that is refused by its head, as one event. An unknown property has a count of its own."""
        if refusal.code == NotFound.code:
            self._values[self._unknown] += 1
            return
        self._receive(prop, 1)
        self._refuse(self._open(prop), refusal, 1)

    def _receive(self, prop: Property | None, events: int) -> None:
        self._values[self._received[self._open(prop)]] += events

    def _settle(self, waiting: _Events, durable: asyncio.Future[None]) -> None:
        if durable.exception() is None:
            self._values[self._place] = pack(self._committer.durable)  # first: see settling.py
            for members, events in waiting.items():
                self._values[self._stored[members]] += events
        else:
            for members, events in waiting.items():
                self._refuse(members, UNAVAILABLE, events)

    def _lose(self, members: bytes, lost: int, durable: asyncio.Future[None]) -> None:
        """Count lost events. If the block fails, the client tells them again."""
        if durable.exception() is None:
            self._block.add(lost, CLIENT_LOST.name, *self._labels[members])

    def _refuse(self, members: bytes, refusal: Refusal, events: int) -> None:
        name = SHED.name if refusal is UNAVAILABLE else REJECTED.name
        self._block.add(events, name, *self._labels[members], refusal.code)

    def _open(self, prop: Property | None) -> bytes:
        """The key of a property's account, which is opened if it has none."""
        members = _NONE if prop is None else prop.members
        if members not in self._received:
            labels = self._labels[members] = self._labels_of(prop)
            self._received[members] = self._block.slot(RECEIVED.name, *labels)
            self._stored[members] = self._block.slot(STORED.name, *labels)
        return members

    def _labels_of(self, prop: Property | None) -> Key:
        labels = (str(prop.portal_id), str(prop.prop_id)) if prop else ("", "")
        if labels not in self._known:
            if len(self._known) >= _MOST_PROPERTIES:
                return OTHER, OTHER
            self._known.add(labels)
        return labels
