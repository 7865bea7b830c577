"""Serves the settings documents without which the SDKs of Segment and RudderStack for pages send nothing."""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from collector.errors import BadTarget, MethodNotAllowed, NotFound, Rejected
from collector.http.documents import HeadOnly
from collector.http.request import RequestHead
from collector.http.response import JSON, Response
from collector.ingest.dialects.dialect import Credentials, refusal_response
from collector.ingest.dialects.senders import Senders
from collector.ingest.responses import preflight_response

_METHODS: Final = b"GET, HEAD, OPTIONS"
_HOST: Final = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255}")


class SettingsDocument(NamedTuple):
    """A document: its path or the pattern of its paths, the credentials in a request for it, and its body.

    The body is a function of the key that the client has, the host as the client knows it, and `http` or `https`.
    """

    name: bytes
    pattern: re.Pattern[bytes]
    credentials: Callable[[RequestHead], Credentials]
    body: Callable[[str, str, str], bytes]


class SettingsDocumentEndpoint(HeadOnly):
    """Serves one document, as `http.Endpoint`."""

    def __init__(self, document: SettingsDocument, senders: Senders) -> None:
        self._document = document
        self._senders = senders

    def admit(self, head: RequestHead) -> Response:
        """The document of a property, or 404 for an unknown one."""
        if head.method == "OPTIONS":
            return preflight_response(self._senders.preflight_headers(head), _METHODS)
        credentials = self._document.credentials(head)
        prop = self._senders.named(credentials)
        cors = self._senders.cors_headers(head, prop)
        try:
            if head.method not in ("GET", "HEAD"):
                raise MethodNotAllowed(_METHODS)
            if prop is None:
                raise NotFound
            host = head.fields.get(b"host", b"")
            if not _HOST.fullmatch(host):
                raise BadTarget("host: expected the name of this host")
        except Rejected as error:
            return refusal_response(error.refusal, cors)
        scheme = "https" if self._senders.client(head).is_https else "http"
        key = f"{credentials.property_id}:{credentials.secret}" if credentials.secret else credentials.property_id
        return Response(200, JSON + cors, self._document.body(key, host.decode(), scheme))
