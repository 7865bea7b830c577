"""The events of one request of an SDK, grouped by property and by who sent them: a server or a visitor."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from collector.dead_letters.writer import Refused
from collector.errors import Forbidden, NotFound, Refusal, Rejected, TooFast
from collector.http.request import RequestHead
from collector.http.response import HeaderLines
from collector.ingest.accounts import Accounts
from collector.ingest.dialects.dialect import Credentials, Dialect, DialectEvent
from collector.ingest.options import RequestOptions, ResponseType
from collector.ingest.policy.client_address import Client, Networks, client_of, kept_address
from collector.ingest.policy.origins import KnownOrigins, check_origin, cors_headers
from collector.ingest.policy.properties import Property, Registry
from collector.ingest.policy.write_keys import is_key, key_in
from collector.ingest.record import RequestContext, members_of, room_for_headers, shared_members_of
from collector.ingest.request import EventRequest
from collector.ingest.splitting import Events

_JSON: Final = ResponseType.JSON
_LONGEST_ADDRESS: Final = 45
_LONGEST_USER_AGENT: Final = 1024
_LONGEST_REFERER: Final = 4096
_LONGEST_NAME: Final = 64
_NOTHING_TOLD: Final = (None, None)


class EventGroup(Struct):
    """Events of one property, as one request to it."""

    prop: Property | None
    request: EventRequest | None
    """None if the property does not take the events."""
    refusal: Refusal | None
    """Why it does not."""
    events: list[DialectEvent]
    refused: list[Refused]
    """Events of which none of ours can be made."""

    @property
    def count(self) -> int:
        """Events, good and bad."""
        return len(self.events) + len(self.refused)


class Senders:
    """Decides who may send by one dialect, with the rules of `/event`."""

    def __init__(
        self, dialect: Dialect, registry: Registry, trusted_proxies: Networks, clock: Callable[[], int]
    ) -> None:
        """`clock` gives Unix milliseconds."""
        self._dialect = dialect
        self._registry = registry
        self._trusted_proxies = trusted_proxies
        self._clock = clock
        self._origins = KnownOrigins(prop for prop in registry if dialect.name in prop.dialects)

    def named(self, credentials: Credentials) -> Property | None:
        """The property that credentials name, if it takes events of this dialect."""
        prop = self._registry.for_dialects(credentials.property_id)
        return prop if prop and self._dialect.name in prop.dialects else None

    def preflight_headers(self, head: RequestHead) -> HeaderLines:
        """The headers for a preflight, which carries no key: those of any property that lists the page's origin."""
        return self._origins.preflight_headers(head.fields.get(b"origin"))

    def cors_headers(self, head: RequestHead, prop: Property | None) -> HeaderLines:
        """The headers that let a page read the response; `prop` is None where the request names no property."""
        origin = head.fields.get(b"origin")
        return cors_headers(prop, origin, is_s2s=False) if prop else self._origins.cors_headers(origin)

    def client(self, head: RequestHead) -> Client:
        """The client behind trusted proxies."""
        return client_of(head.peer[0] if head.peer else None, head.scheme, head.headers, self._trusted_proxies)

    def open(self, head: RequestHead, credentials: Credentials, is_s2s: bool, hides_client: bool) -> EventGroup:
        """A new group for the events of these credentials; with a refusal if they may not be sent.

        `hides_client`: nothing of the client that sent the request is recorded.
        """
        prop = self.named(credentials)
        try:
            admitted = self._admitted(head, prop, credentials)
            return EventGroup(prop, self._request(head, admitted, is_s2s, hides_client), None, [], [])
        except Rejected as error:
            return EventGroup(prop, None, error.refusal, [], [])

    def _admitted(self, head: RequestHead, prop: Property | None, credentials: Credentials) -> Property:
        """The property, if this request may send to it. Raises Rejected."""
        if prop is None:
            raise NotFound
        check_origin(prop, head.fields, _JSON)
        if prop.key_digests:
            keys = (credentials.secret.encode(), key_in(head.fields))
            if not any([is_key(key, prop.key_digests) for key in keys]):  # noqa: C419 - a list, so that all are compared
                raise Forbidden("this property needs a secret beside its id; most SDKs take ID:SECRET as their key")
        if prop.rate and (wait := prop.rate.wait_seconds(time.monotonic())):
            raise TooFast("this property sends more events than its rate allows", wait)
        return prop

    def _request(self, head: RequestHead, prop: Property, is_s2s: bool, hides_client: bool) -> EventRequest:
        fields = head.fields
        client = self.client(head)
        agent = fields.get(b"user-agent") if prop.has_user_agent and not hides_client else None
        referer = None if hides_client else fields.get(b"referer")
        context = RequestContext(
            prop,
            self._clock(),
            None if hides_client else kept_address(client.ip, prop.ip),
            None if agent is None else agent[:_LONGEST_USER_AGENT].decode("latin-1"),
            None if referer is None else referer[:_LONGEST_REFERER].decode("latin-1"),
            is_s2s,
            [],
            self._dialect.name,
        )
        return EventRequest(
            options=RequestOptions(prop, _JSON, is_s2s, None, None),
            context=context,
            token=b"",
            headers=b"",
            with_cookie=False,
            is_https=client.is_https,
            is_stored=head.method != "HEAD",
            media=b"",
            encoding=b"",
            pairs=None,
            head=head,
            body_limit=0,
        )


class Groups:
    """The groups of a request, opened as its events come."""

    def __init__(self, senders: Senders, head: RequestHead, credentials: Credentials) -> None:
        """`credentials` are those in the head, which count for all events if there are any."""
        self._senders = senders
        self._head = head
        self._credentials = credentials
        self._groups: dict[tuple[Credentials, bool, bool], EventGroup] = {}
        self.body_refusal: Refusal | None = None
        """Why the body as a whole is refused."""

    @property
    def events(self) -> int:
        """Events of all groups."""
        return sum(group.count for group in self._groups.values())

    @property
    def sender(self) -> str:
        """The property that sends, for people, as far as the request names one."""
        prop = self._property
        return f"{prop.portal_id}/{prop.prop_id}" if prop else self._credentials.property_id[:_LONGEST_NAME]

    @property
    def cors_headers(self) -> HeaderLines:
        """The headers that let a page read the response."""
        return self._senders.cors_headers(self._head, self._property)

    @property
    def _property(self) -> Property | None:
        first = next(iter(self._groups.values()), None)
        return first.prop if first else self._senders.named(self._credentials)

    @property
    def refusal(self) -> Refusal | None:
        """Why nothing of the request may be sent; None if a part of it may."""
        if not self._groups:  # a request without events is refused as one with events would be
            self._open(self._credentials, is_s2s=True, hides_client=True)
        refusals = [group.refusal for group in self._groups.values()]
        return refusals[0] if all(refusals) else None

    def admitted(self) -> Iterator[tuple[EventGroup, EventRequest]]:
        """The groups whose property takes their events, and the request of each."""
        for group in self._groups.values():
            if group.request is not None:
                yield group, group.request

    def add(self, index: int, event: DialectEvent) -> None:
        """Add the event at this index of the request to its group."""
        credentials, hides = self._credentials_of(event), event.is_s2s or event.is_anonymous
        key = credentials, event.is_s2s, hides
        group = self._groups.get(key) or self._open(*key)
        if event.refusal is None:
            group.events.append(event)
        else:
            group.refused.append(Refused(event.refusal, event.raw, index))

    def refuse(self, refusal: Refusal, body: bytes) -> None:
        """Refuse the whole body: the property in the head gets it as a dead letter."""
        self._groups.clear()
        self.body_refusal = refusal
        self._open(self._credentials, is_s2s=True, hides_client=True).refused.append(Refused(refusal, body))

    def count_refused(self, accounts: Accounts) -> None:
        """Count the groups whose property does not take their events."""
        for group in self._groups.values():
            if group.refusal is not None:
                accounts.refuse_unread(group.prop, group.refusal)

    def settle(self, accounts: Accounts, refusal: Refusal) -> None:
        """Count what has no account yet, after the request failed as a whole."""
        if not self._groups:
            accounts.refuse_unread(self._property, refusal)
        self.count_refused(accounts)
        for _, request in self.admitted():
            if request.events != 0:
                accounts.refuse(request, refusal)

    def _credentials_of(self, event: DialectEvent) -> Credentials:
        """Those in the head, unless the event has more."""
        head = self._credentials
        return head if head.property_id and (head.secret or not event.credentials.secret) else event.credentials

    def _open(self, credentials: Credentials, is_s2s: bool, hides_client: bool) -> EventGroup:
        key = credentials, is_s2s, hides_client
        group = self._groups[key] = self._senders.open(self._head, *key)
        return group


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
        context = replace(context, ip=kept_address(ip, prop.ip) if len(ip) <= _LONGEST_ADDRESS else None)
    if user_agent is not None:
        context = replace(context, user_agent=user_agent[:_LONGEST_USER_AGENT] if prop.has_user_agent else None)
    return replace(context, referer=None)
