"""Bodies: the supported media types and their spellings."""

import pytest

from collector.errors import UnsupportedMedia
from collector.ingest.bodies.body import media_of


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (b"application/json", b"application/json"),
        (b"application/json; charset=utf-8", b"application/json"),
        (b"application/json;charset=UTF-8", b"application/json"),
        (b"Application/JSON", b"application/json"),
        (b" application/json ", b"application/json"),
        (b"application/cloudevents+json; charset=utf-8", b"application/json"),
        (b"Application/Vnd.API+JSON", b"application/json"),
        (b"text/plain", b"text/plain"),
        (b"text/plain;charset=UTF-8", b"text/plain"),
        (b"", b""),
        (b"application/x-ndjson", b"application/x-ndjson"),
        (b"Application/X-NDJSON; charset=utf-8", b"application/x-ndjson"),
        (b"application/x-www-form-urlencoded", b"application/x-www-form-urlencoded"),
        (b"application/x-www-form-urlencoded;charset=utf-8", b"application/x-www-form-urlencoded"),
    ],
)
def test_a_supported_media_type_is_recognized_in_every_spelling(sent: bytes, kind: bytes) -> None:
    assert media_of({b"content-type": sent}) == kind


def test_a_body_without_a_media_type_is_accepted() -> None:
    assert media_of({}) == b""
    assert media_of({b"content-length": b"2", b"user-agent": b"x"}) == b""


@pytest.mark.parametrize(
    "kind",
    [
        *(b"application/xml", b"text/html", b"multipart/form-data; boundary=x", b"application/octet-stream"),
        *(b"text/x+json", b"application/json+xml", b"+json"),
        *(b"application/json5", b"application/jsonx", b"text", b"json", b"application/json, text/plain", b"\xff"),
    ],
)
def test_an_unsupported_media_type_is_refused_with_the_supported_ones(kind: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="application/json"):
        media_of({b"content-type": kind})
