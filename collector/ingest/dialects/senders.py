"""The senders that a dialect allows, and the property of an event: the rules of `/event`, for the keys of SDKs."""

import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from collector.dead_letters.writer import Refused
from collector.errors import Forbidden, NotFound, Refusal, Rejected, TooFast
from collector.http.request import RequestHead
from collector.http.response import HeaderLines
from collector.ingest.dialects.dialect import Credentials, Dialect, DialectEvent
from collector.ingest.options import RequestOptions, ResponseType
from collector.ingest.policy.client_address import Client, Networks, client_of, kept_address
from collector.ingest.policy.origins import KnownOrigins, check_origin, cors_headers
from collector.ingest.policy.properties import Property, Registry
from collector.ingest.policy.write_keys import is_key, key_in
from collector.ingest.record import LONGEST_REFERER, LONGEST_USER_AGENT, RequestContext
from collector.ingest.request import EventRequest

_JSON: Final = ResponseType.JSON


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
    """Decides whether a client may send by one dialect, with the rules of `/event`."""

    def __init__(
        self, dialect: Dialect, registry: Registry, trusted_proxies: Networks, clock: Callable[[], int]
    ) -> None:
        """`clock` gives Unix milliseconds."""
        self._dialect = dialect
        self._registry = registry
        self._trusted_proxies = trusted_proxies
        self._clock = clock
        self._origins = KnownOrigins(prop for prop in registry if dialect.name in prop.dialects)
        self._digests = tuple(digest for prop in registry for digest in prop.key_digests)

    def named(self, credentials: Credentials) -> Property | None:
        """The property that credentials name, if it takes events of this dialect."""
        prop = self._registry.for_dialects(credentials.property_id)
        return prop if prop and self._dialect.name in prop.dialects else None

    def is_write_key(self, text: str) -> bool:
        """Whether a text is a write key of some property, sent in place of an id."""
        return is_key(text.encode(), self._digests)

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
            None if agent is None else agent[:LONGEST_USER_AGENT].decode("latin-1"),
            None if referer is None else referer[:LONGEST_REFERER].decode("latin-1"),
            is_s2s,
            [],
            self._dialect.name,
        )
        return EventRequest(
            options=RequestOptions(prop, _JSON, is_s2s, None, None),
            context=context,
            is_https=client.is_https,
            is_stored=head.method != "HEAD",
            head=head,
            body_limit=0,
        )
