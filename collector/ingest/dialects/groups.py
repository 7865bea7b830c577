"""The events of one request of an SDK, grouped by property and by sender: a server or a visitor."""

from collections.abc import Iterator
from typing import Final

from collector.dead_letters.writer import Refused
from collector.errors import Refusal, TooLarge
from collector.http.request import RequestHead
from collector.http.response import HeaderLines
from collector.ingest.accounts.accounts import Accounts
from collector.ingest.dialects.dialect import NO_CREDENTIALS, Credentials, DialectEvent
from collector.ingest.dialects.secrets import is_readable
from collector.ingest.dialects.senders import EventGroup, Senders
from collector.ingest.policy.properties import Property
from collector.ingest.policy.write_keys import key_in
from collector.ingest.request import EventRequest

_LONGEST_NAME: Final = 64
_MOST_GROUPS: Final = 16
"""More groups than the events of one SDK fall into. Each has records and dead letters of its own."""


class Groups:
    """The groups of a request, opened as its events come."""

    def __init__(self, senders: Senders, head: RequestHead, credentials: Credentials) -> None:
        """`credentials` are those in the head, which count for all events if there are any."""
        self._senders = senders
        self._head = head
        self._credentials = credentials
        self._groups: dict[tuple[Credentials, bool, bool], EventGroup] = {}
        self._unnamed: list[Refused] = []
        """Bad events that name no property."""
        self.body_refusal: Refusal | None = None
        """Why the body as a whole is refused."""

    def __len__(self) -> int:
        """The number of groups."""
        return len(self._groups)

    @property
    def events(self) -> int:
        """Events of all groups."""
        return sum(group.count for group in self._groups.values())

    @property
    def sender(self) -> str:
        """The property that sends, for people, as far as the request names one."""
        prop = self._property
        if prop is not None:
            return f"{prop.portal_id}/{prop.prop_id}"
        name = self._credentials.property_id
        if not name:
            return "(none named)"
        return "(a write key in place of an id)" if self._senders.is_write_key(name) else name[:_LONGEST_NAME]

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
        if self.body_refusal is not None and not self._credentials.property_id:
            return self.body_refusal  # the body may name a property, but can't be read
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
        """Add the event at this index of the request to its group. Raises TooLarge for too many groups."""
        credentials, hides = self._credentials_of(event), event.is_s2s or event.is_anonymous
        refused = event.refusal and Refused(event.refusal, event.raw, index)
        if refused and not credentials.property_id:
            self._unnamed.append(refused)
            return
        key = credentials, event.is_s2s, hides
        group = self._groups.get(key) or self._open(*key)
        if refused:
            group.refused.append(refused)
        else:
            group.events.append(event)

    def close(self) -> None:
        """Give bad events that name no property to one that others name: a 200 must not lose them."""
        if self._unnamed:
            groups = self._groups.values()
            group = next((group for group in groups if group.request), None) or next(iter(groups), None)
            (group or self._open(NO_CREDENTIALS, is_s2s=False, hides_client=False)).refused.extend(self._unnamed)
            self._unnamed = []

    @property
    def secrets(self) -> set[str]:
        """The write keys that the request has for its events."""
        of_events = {credentials.secret for credentials, _, _ in self._groups}
        return {key_in(self._head.fields).decode("latin-1"), self._credentials.secret, *of_events} - {""}

    def refuse(self, refusal: Refusal, body: bytes) -> None:
        """Refuse the whole body: the property in the head gets it as a dead letter.

        Of a property with write keys, a body that may hide one is not kept.
        """
        prop = self._senders.named(self._credentials)
        if prop and prop.key_digests and not is_readable(body):
            body = b""
        self._groups.clear()
        self._unnamed = []
        self.body_refusal = refusal
        self._open(self._credentials, is_s2s=True, hides_client=True).refused.append(Refused(refusal, body))

    def count_refused(self, accounts: Accounts) -> None:
        """Count the groups whose property does not take their events."""
        for group in self._groups.values():
            if group.refusal is not None:
                accounts.refuse_unread(group.prop, group.refusal)

    def settle(self, accounts: Accounts, refusal: Refusal) -> None:
        """Count the events that have no account yet, after the request failed as a whole."""
        if not self._groups:
            accounts.refuse_unread(self._property, refusal)
        self.count_refused(accounts)
        for _, request in self.admitted():
            if request.events != 0:
                accounts.refuse(request, refusal)

    def _credentials_of(self, event: DialectEvent) -> Credentials:
        """Those in the head, unless the event has more; its secret may stand beside the id in the head."""
        head, own = self._credentials, event.credentials
        if head.property_id and (head.secret or not own.secret):
            return head
        return own if own.property_id else Credentials(head.property_id, own.secret)

    def _open(self, credentials: Credentials, is_s2s: bool, hides_client: bool) -> EventGroup:
        if len(self._groups) == _MOST_GROUPS:
            raise TooLarge(f"the events of one request name more than {_MOST_GROUPS} senders; send smaller batches")
        key = credentials, is_s2s, hides_client
        group = self._groups[key] = self._senders.open(self._head, *key)
        return group
