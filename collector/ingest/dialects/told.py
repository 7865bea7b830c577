"""What the events of an SDK tell of their visitors: address and user agent, which have their place in the record. Pure."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from collector.ingest.dialects.dialect import DialectEvent
from collector.ingest.dialects.senders import LONGEST_USER_AGENT, EventGroup
from collector.ingest.policy.client_address import kept_address
from collector.ingest.record import RequestContext, members_of, room_for_headers, shared_members_of
from collector.ingest.splitting import Events

_LONGEST_ADDRESS: Final = 45
_NOTHING_TOLD: Final = (None, None)


def events_of(group: EventGroup, context: RequestContext) -> Events:
    """The good events of a group, with the members that their records have in common or each for itself."""
    events = [event.event for event in group.events]
    if all(event.ip is None and event.user_agent is None for event in group.events):
        return Events(events, are_lines=True)
    return Events(events, are_lines=True, members=_members(group.events, context))


def _members(events: Sequence[DialectEvent], context: RequestContext) -> list[bytes]:
    """The members of each event, where some tell the address or the user agent of their visitor."""
    room = room_for_headers(context, len(events))
    found: dict[tuple[str | None, str | None], bytes] = {}
    for told in {(event.ip, event.user_agent) for event in events}:
        found[told] = shared_members_of(context, room) if told == _NOTHING_TOLD else members_of(_told(context, *told))
    return [found[event.ip, event.user_agent] for event in events]


def _told(context: RequestContext, ip: str | None, user_agent: str | None) -> RequestContext:
    prop = context.prop
    if ip is not None:
        context = replace(context, ip=kept_address(ip, prop.ip) if _is_address(ip) else None)
    if user_agent is not None:
        context = replace(context, user_agent=user_agent[:LONGEST_USER_AGENT] if prop.has_user_agent else None)
    return replace(context, referer=None)


def _is_address(text: str) -> bool:
    """Whether a text is an address, which the part of it that may be stored shows; that is cached."""
    return len(text) <= _LONGEST_ADDRESS and kept_address(text, "truncate") is not None
