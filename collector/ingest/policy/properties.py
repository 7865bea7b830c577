"""The portals and properties in the settings, prepared for requests."""

from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

import msgspec

from collector.ingest.policy.rate_limit import TokenBucket
from collector.ingest.policy.write_keys import key_digest
from collector.settings import PropertySettings

_REQUIRED_OF_DIALECTS: Final = ("ea", "ec")


class Ack(NamedTuple):
    """The sink that a response waits for, and the longest wait in seconds."""

    sink: str
    seconds: float


class Property(NamedTuple):
    """A property, prepared. `members` are its members of the stored record, as JSON bytes."""

    portal_id: int
    prop_id: int
    public_id: str
    origins: frozenset[bytes]
    redirect_hosts: frozenset[str]
    required: tuple[str, ...]
    key_digests: tuple[bytes, ...]
    rate: TokenBucket | None
    rejects: TokenBucket
    """The rate of refused events, so that junk does not use up the rate of valid events."""
    ip: Literal["full", "truncate", "drop"]
    has_user_agent: bool
    is_scrubbed: bool
    """Whether addresses or user agents inside its events are removed or truncated too."""
    has_cookies: bool
    ack: Ack | None
    dialects: frozenset[str]
    dedup_ms: int
    """How long ids are remembered, in ms; 0: not at all."""
    members: bytes


class Registry:
    """All properties by portal and property id."""

    def __init__(
        self, properties: Iterable[PropertySettings], workers: int = 1, earlier: "Registry | None" = None
    ) -> None:
        """Each of `workers` allows its share of a property's rate. Raises BadSettings if a key is not set.

        A bucket whose rate is as in the `earlier` registry keeps its level: a swap gives nobody another burst.
        """
        self._settings = {(settings.portal_id, settings.prop_id): settings for settings in properties}
        self._properties = {ids: _prepared(settings, workers) for ids, settings in self._settings.items()}
        if earlier:
            self._keep_buckets(earlier)
        self._for_dialects: dict[str, Property] = {}
        for ids, settings in self._settings.items():
            prop = self._properties[ids]._replace(required=_REQUIRED_OF_DIALECTS, dedup_ms=settings.dialects_dedup_ms)
            for name in (settings.public_id, f"{settings.portal_id}/{settings.prop_id}"):
                self._for_dialects[name] = prop
        self._named = {settings.public_id: self._properties[ids] for ids, settings in self._settings.items()}

    def __len__(self) -> int:
        """The number of properties."""
        return len(self._properties)

    def get(self, portal_id: int, prop_id: int) -> Property | None:
        """The property, or None if it does not exist."""
        return self._properties.get((portal_id, prop_id))

    def named(self, public_id: str) -> Property | None:
        """The property of this public id, or None if it does not exist."""
        return self._named.get(public_id)

    def for_dialects(self, public_id: str) -> Property | None:
        """As `named`, with the rules for events of SDKs: those of servers have neither device nor session.

        `PORTAL/PROP` names a property too: no public id has a slash.
        """
        return self._for_dialects.get(public_id)

    def __iter__(self) -> Iterator[Property]:
        return iter(self._properties.values())

    def _keep_buckets(self, earlier: "Registry") -> None:
        for ids, now in self._settings.items():
            if before := earlier._settings.get(ids):
                old, new = earlier._properties[ids], self._properties[ids]
                has_rate = now.events_per_second == before.events_per_second
                has_rejects = now.rejects_per_second == before.rejects_per_second
                self._properties[ids] = new._replace(
                    rate=old.rate if has_rate else new.rate, rejects=old.rejects if has_rejects else new.rejects
                )


def _prepared(settings: PropertySettings, workers: int) -> Property:
    source = msgspec.json.encode(settings.source)
    place = f"write_keys of property {settings.portal_id}/{settings.prop_id}"
    return Property(
        portal_id=settings.portal_id,
        prop_id=settings.prop_id,
        public_id=settings.public_id,
        origins=frozenset(origin.encode() for origin in settings.origins),
        redirect_hosts=frozenset(settings.redirect_hosts),
        required=settings.required,
        key_digests=tuple(key_digest(place, key) for key in settings.write_keys),
        rate=TokenBucket(settings.events_per_second, workers) if settings.events_per_second else None,
        rejects=TokenBucket(settings.rejects_per_second, workers),
        ip=settings.ip,
        has_user_agent=settings.user_agent == "full",
        is_scrubbed=settings.ip != "full" or settings.user_agent != "full",
        has_cookies=settings.cookies and settings.source == "web",
        dialects=frozenset(settings.dialects),
        dedup_ms=settings.dedup_ms,
        ack=Ack(settings.ack_sink, settings.ack_seconds) if settings.ack == "shipped" and settings.ack_sink else None,
        members=b'"portal_id":%d,"prop_id":%d,"source":%b' % (settings.portal_id, settings.prop_id, source),
    )
