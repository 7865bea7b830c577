"""PostHog's SDKs: the paths that take events, and the responses that the SDKs want.

Feature flags, session recordings and static files are not served: the SDKs tolerate a 404 for them.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from msgspec.structs import replace

from collector.errors import Refusal
from collector.http.request import RequestHead
from collector.http.response import JSON, Response
from collector.ingest.dialects.dialect import (
    NO_CREDENTIALS,
    Credentials,
    DialectEvent,
    Result,
    path_of,
    refusal_response,
)
from collector.ingest.dialects.posthog.body import read_body
from collector.ingest.dialects.posthog.event import Shared, read_event
from collector.ingest.query import parse_pairs
from collector.settings.paths import DIALECT_PATHS

_OK: Final = Response(HTTPStatus.OK, JSON, b'{"status":"Ok"}')
_BEACON: Final = re.compile(rb"(?:^|&)beacon=1(?:&|$)")
_ENGAGE: Final = b"/engage"
_FREE_BYTES: Final = 1024
"""Bytes by which the events of a request may exceed the bytes sent for them, 64 bytes an event aside."""


class PostHog:
    """The dialect of PostHog's SDKs."""

    name = "posthog"
    paths: tuple[str, ...] = DIALECT_PATHS["posthog"]
    pattern: re.Pattern[bytes] | None = None

    def credentials(self, head: RequestHead) -> Credentials:
        """The key in the query, where hardly any SDK sends it: those in bodies are the events' own."""
        if not head.query:
            return NO_CREDENTIALS
        values = parse_pairs(head.query).values
        return Credentials.of(values.get("api_key") or values.get("token") or "")

    def retries(self, head: RequestHead) -> bool:
        """True but for beacons: of these, posthog-js never sees the response."""
        return head.fields.get(b"sec-fetch-mode") != b"no-cors" and not _BEACON.search(head.query)

    def events(self, head: RequestHead, body: bytes) -> Iterator[DialectEvent]:
        """The events of a body, or of the query's `data` if there is no body. Raises BadEvent or TooLarge."""
        sent = yield from read_body(body, head.query)
        unnamed = "$identify" if path_of(head) == _ENGAGE else ""
        shared = Shared(sent.key, sent.sent_at, sent.are_lines, unnamed)
        free = _FREE_BYTES
        known = NO_CREDENTIALS
        for raw in sent.events:
            event = read_event(raw, shared, free)
            free = 0
            if event.credentials.property_id:
                known = event.credentials
            elif event.refusal:  # not an object, so it can't name its property: take that of an event before it
                event = replace(event, credentials=known)
            yield event

    def response(self, _head: RequestHead, _result: Result) -> Response:
        """The same for all requests. The Python SDK sends again after any status but 200."""
        return _OK

    def refusal(self, _head: RequestHead, refusal: Refusal) -> Response:
        """A refusal as JSON, with 503 in place of 429, after which posthog-js drops the events."""
        response = refusal_response(refusal)
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            return replace(response, status=HTTPStatus.SERVICE_UNAVAILABLE)
        return response
