"""The one table of dialects. A new dialect is a module here and a line below, and its name in the settings."""

import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from collector.http.request import RequestHead
from collector.ingest.dialects.dialect import NO_CREDENTIALS, Credentials, Dialect
from collector.ingest.dialects.matomo.dialect import Matomo
from collector.ingest.dialects.posthog.dialect import PostHog
from collector.ingest.dialects.segment.credentials import credentials_in, credentials_of
from collector.ingest.dialects.segment.dialect import SegmentDialect
from collector.ingest.dialects.segment.settings_documents import settings_document, source_config
from collector.ingest.dialects.settings_documents import SettingsDocument
from collector.ingest.dialects.snowplow.dialect import Snowplow
from collector.settings import ServerSettings

_PROJECT: Final = re.compile(rb"/v1/projects/([^/]{1,256})/settings/?")


def _key_in_path(head: RequestHead) -> Credentials:
    found = _PROJECT.fullmatch(unquote_to_bytes(head.path))
    return credentials_of(found[1].decode("latin-1")) if found else NO_CREDENTIALS


_DIALECTS: Final[dict[str, Callable[[ServerSettings], Dialect]]] = {
    "segment": lambda _: SegmentDialect(),
    "snowplow": lambda server: Snowplow(*filter(None, [server.snowplow_path])),
    "matomo": lambda _: Matomo(),
    "posthog": lambda _: PostHog(),
}
_DOCUMENTS: Final = {
    "segment": (
        SettingsDocument(b"segment-settings", _PROJECT, _key_in_path, settings_document),
        SettingsDocument(b"rudder-source-config", re.compile(rb"/sourceConfig/?"), credentials_in, source_config),
    )
}


def served(server: ServerSettings) -> list[Dialect]:
    """The dialects with paths of their own that these settings turn on."""
    return [make(server) for name, make in _DIALECTS.items() if name in server.dialects]


def documents_of(dialect: Dialect) -> tuple[SettingsDocument, ...]:
    """The documents that SDKs of a dialect fetch before they send anything."""
    return _DOCUMENTS.get(dialect.name, ())


def patterns(dialect: Dialect) -> Iterator[tuple[bytes, re.Pattern[bytes]]]:
    """The routes of a dialect that stand for patterns of paths, by their names."""
    if dialect.pattern:
        yield dialect.name.encode(), dialect.pattern
    yield from ((document.name, document.pattern) for document in documents_of(dialect))


def route_names(dialect: Dialect) -> Iterator[bytes]:
    """The names of the routes that take events: paths, with and without a slash at the end, and that of a pattern."""
    for path in dialect.paths:
        yield path.encode()
        yield path.encode() + b"/"
    if dialect.pattern:
        yield dialect.name.encode()
