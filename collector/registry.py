"""Which portals and properties there are, in the form that a request needs them."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from collector import config


class Property(NamedTuple):
    """A property, prepared: `members` are its members of the stored record, as JSON bytes."""

    portal_id: int
    prop_id: int
    origins: frozenset[bytes]
    redirect_hosts: frozenset[str]
    required: tuple[str, ...]
    members: bytes


class Registry:
    """All properties by portal and property id."""

    def __init__(self, properties: Iterable[config.Property]) -> None:
        self._properties = {(each.portal_id, each.prop_id): _prepared(each) for each in properties}

    def get(self, portal_id: int, prop_id: int) -> Property | None:
        """The property, or None if there is no such pair."""
        return self._properties.get((portal_id, prop_id))


def _prepared(settings: config.Property) -> Property:
    source = msgspec.json.encode(settings.source)
    return Property(
        portal_id=settings.portal_id,
        prop_id=settings.prop_id,
        origins=frozenset(origin.encode() for origin in settings.origins),
        redirect_hosts=frozenset(settings.redirect_hosts),
        required=settings.required,
        members=b'"portal_id":%d,"prop_id":%d,"source":%b' % (settings.portal_id, settings.prop_id, source),
    )
