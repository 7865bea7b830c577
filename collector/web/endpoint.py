"""Serves the tracker for pages: compressed where the client takes that, and 304 where it has the script already."""

from typing import Final, NamedTuple

from collector.http.documents import HeadOnly, refused_method
from collector.http.request import RequestHead
from collector.http.response import HeaderLines, Response
from collector.web.encodings import chosen, encodings_of
from collector.web.script import Script

SHORT_CACHE: Final = b"public, max-age=3600, stale-while-revalidate=86400"
"""For the name that all versions have: an hour after an upgrade pages have the new one."""
LONG_CACHE: Final = b"public, max-age=31536000, immutable"
_COMMON: Final[HeaderLines] = (
    b"content-type: text/javascript; charset=utf-8\r\n"
    b"x-content-type-options: nosniff\r\n"
    b"access-control-allow-origin: *\r\n"
    b"cross-origin-resource-policy: cross-origin\r\n"
)
"""Any page may load the script, also one that is isolated from other origins, and with Subresource Integrity."""


class _Responses(NamedTuple):
    etag: bytes
    whole: Response
    unchanged: Response


class ScriptEndpoint(HeadOnly):
    """Serves one name of the script, as `http.Endpoint`."""

    def __init__(self, script: Script, cache: bytes) -> None:
        """`cache` is the value of `Cache-Control`."""
        self._encodings = encodings_of(script.body)
        self._responses = {
            encoded.encoding: _responses(script.hash.encode(), encoded.encoding, encoded.body, cache)
            for encoded in self._encodings
        }

    def admit(self, head: RequestHead) -> Response:
        """The script, or 304 for a client that has it."""
        if refusal := refused_method(head):
            return refusal
        encoding = chosen(self._encodings, head.fields.get(b"accept-encoding", b"")).encoding
        etag, whole, unchanged = self._responses[encoding]
        return unchanged if _has(head.fields.get(b"if-none-match", b""), etag) else whole


def _responses(digest: bytes, encoding: bytes, body: bytes, cache: bytes) -> _Responses:
    """Bodies that differ have ETags that differ, so a cache never mixes two encodings."""
    etag = b'"%b-%b"' % (digest, encoding)
    validators = b"cache-control: %b\r\netag: %b\r\nvary: accept-encoding\r\n" % (cache, etag)
    coded = b"" if encoding == b"identity" else b"content-encoding: %b\r\n" % encoding
    whole = Response(200, _COMMON + validators + coded, body)
    return _Responses(etag, whole, Response(304, _COMMON + validators, b""))


def _has(known: bytes, etag: bytes) -> bool:
    """Whether `If-None-Match` lists a tag. A proxy that compresses marks it as weak."""
    return any(tag.strip().removeprefix(b"W/") in (etag, b"*") for tag in known.split(b","))
