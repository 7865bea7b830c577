"""The dialect of Segment, RudderStack and Jitsu: their requests to calls, pure. The table of calls is table.py.

`/v1/m`, the metrics of analytics.js about itself, is not served: it has no write key, our settings document turns it
off, and the SDK takes any status.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from collector.errors import Refusal
from collector.http.request import RequestHead
from collector.http.response import JSON, Response, refusal_response
from collector.ingest.dialects.dialect import Credentials, DialectEvent, Result, path_of
from collector.ingest.dialects.segment.bodies import read_body
from collector.ingest.dialects.segment.credentials import credentials_in
from collector.ingest.dialects.segment.events import CallsToEvents, SharedMembers
from collector.settings.paths import DIALECT_PATHS

_KINDS: Final = {
    b"t": "track",
    b"i": "identify",
    b"p": "page",
    b"s": "screen",
    b"g": "group",
    b"a": "alias",
}
_KINDS_BY_PATH: Final = {name: kind for short, kind in _KINDS.items() for name in (short, kind.encode())}
"""By the last segment of a path. Paths that name no kind take a batch, or a call that names its own."""
_JITSU: Final = b"/api/s/"
_JITSU_S2S: Final = b"/api/s/s2s/"
_ROOM: Final = 1024
"""Bytes by which all events of a request may exceed its body, besides the allowance of each event."""
_SUCCESS: Final = b'{"success":true}'


class SegmentDialect:
    """Segment's Tracking API, as `dialect.Dialect`."""

    name: str = "segment"
    paths: tuple[str, ...] = DIALECT_PATHS["segment"]
    pattern: re.Pattern[bytes] | None = re.compile(rb"/api/s/(?:s2s/)?[a-z_-]{1,32}/?")
    """Jitsu's, whose last segment is the kind of the call."""

    def credentials(self, head: RequestHead) -> Credentials:
        """The write key in the head; that of a body is in its events."""
        return credentials_in(head)

    def retries(self, head: RequestHead) -> bool:
        """Segment and RudderStack send again after 429 and 5xx, Jitsu never does."""
        return not path_of(head).startswith(_JITSU)

    def events(self, head: RequestHead, body: bytes) -> Iterator[DialectEvent]:
        """The events of a batch or of a single call. Raises BadEvent or TooLarge."""
        path = path_of(head)
        kind = _KINDS_BY_PATH.get(path.rpartition(b"/")[2], "")
        read = yield from read_body(body, is_single=bool(kind))
        shared = SharedMembers(kind, path.startswith(_JITSU_S2S), read.context, read.sent_at, read.write_key)
        room = _ROOM + len(body) - sum(map(len, read.calls))
        yield from map(CallsToEvents(shared, room, is_line=read.is_line).event, read.calls)

    def response(self, head: RequestHead, result: Result) -> Response:  # noqa: ARG002
        """All SDKs take a 200 with a JSON object. Jitsu and Segment for Java take nothing else."""
        return Response(200, JSON, _SUCCESS)

    def refusal(self, head: RequestHead, refusal: Refusal) -> Response:  # noqa: ARG002
        """JSON with code and message: without them RudderStack for Python sends a refused request again."""
        body: dict[str, object] = {"code": refusal.code, "message": refusal.message}
        if refusal.faults:
            body["errors"] = refusal.faults
        return refusal_response(refusal, b"", JSON, msgspec.json.encode(body))
