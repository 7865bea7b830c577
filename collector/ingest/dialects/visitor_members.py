"""The members of records that differ by visitor: the address and the user agent in an event of an SDK."""

from collections.abc import Generator, Sequence
from functools import partial
from typing import Final

from msgspec.structs import replace

from collector.ingest.bodies.splitting import Events
from collector.ingest.dialects.dialect import DialectEvent
from collector.ingest.dialects.senders import EventGroup
from collector.ingest.policy.client_address import kept_address
from collector.ingest.record import LONGEST_USER_AGENT, RequestContext, members_of, room_for_headers, shared_members_of
from collector.long_work import sliced

_LONGEST_ADDRESS: Final = 45
_Visitor = tuple[str | None, str | None]
_UNKNOWN_VISITOR: Final = (None, None)


def events_of(group: EventGroup, context: RequestContext) -> Generator[None, None, Events]:
    """The good events of a group, with the members that their records have in common or each for itself.

    Yields when other requests may run.
    """
    events = [event.event for event in group.events]
    if all(event.ip is None and event.user_agent is None for event in group.events):
        return Events(events, are_lines=True)
    return Events(events, are_lines=True, members=(yield from _members(group.events, context)))


def _members(events: Sequence[DialectEvent], context: RequestContext) -> Generator[None, None, list[bytes]]:
    """The members of each event, where some name the address or the user agent of their visitor."""
    found: dict[_Visitor, bytes] = {
        _UNKNOWN_VISITOR: shared_members_of(context, room_for_headers(context, len(events)))
    }
    return (yield from sliced(partial(_members_of, context=context, found=found), events))


def _members_of(event: DialectEvent, context: RequestContext, found: dict[_Visitor, bytes]) -> bytes:
    """The members of one event; those `found` before count again."""
    visitor = event.ip, event.user_agent
    if visitor not in found:
        found[visitor] = members_of(_context_of(context, *visitor))
    return found[visitor]


def _context_of(context: RequestContext, ip: str | None, user_agent: str | None) -> RequestContext:
    prop = context.prop
    if ip is not None:
        context = replace(context, ip=kept_address(ip, prop.ip) if _is_address(ip) else None)
    if user_agent is not None:
        context = replace(context, user_agent=user_agent[:LONGEST_USER_AGENT] if prop.has_user_agent else None)
    return replace(context, referer=None)


def _is_address(text: str) -> bool:
    """Whether a text is an address, which the part of it that may be stored shows; that is cached."""
    return len(text) <= _LONGEST_ADDRESS and kept_address(text, "truncate") is not None
