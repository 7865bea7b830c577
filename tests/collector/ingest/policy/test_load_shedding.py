"""Load shedding when the log is close to its limits: the table of retryable requests, and the threshold."""

import pytest

from collector.ingest.options import RequestOptions, ResponseType
from collector.ingest.policy.load_shedding import is_retryable, sheds_retryable

JSON, NDJSON, TEXT, FORM, NOTHING = (
    *(b"application/json", b"application/x-ndjson", b"text/plain"),
    *(b"application/x-www-form-urlencoded", b""),
)


@pytest.mark.parametrize(
    ("face", "media", "is_s2s", "again"),
    [
        (ResponseType.JSON, JSON, False, True),
        (ResponseType.JSON, NDJSON, False, True),
        (ResponseType.JAVASCRIPT, JSON, False, True),
        (ResponseType.JAVASCRIPT, NDJSON, False, True),
        (ResponseType.JSON, TEXT, False, False),
        (ResponseType.JSON, FORM, False, False),
        (ResponseType.JSON, NOTHING, False, False),
        (ResponseType.JAVASCRIPT, TEXT, False, False),
        (ResponseType.JAVASCRIPT, NOTHING, False, False),
        (ResponseType.PIXEL, NOTHING, False, False),
        (ResponseType.PIXEL, JSON, False, False),
        (ResponseType.REDIRECT, NOTHING, False, False),
        (ResponseType.REDIRECT, JSON, False, False),
        *((face, media, True, True) for face in ResponseType for media in (JSON, NDJSON, TEXT, FORM, NOTHING)),
    ],
)
def test_programs_that_read_the_response_can_retry_and_beacons_links_and_images_cannot(
    face: ResponseType, media: bytes, is_s2s: bool, again: bool
) -> None:
    assert is_retryable(RequestOptions(None, face, is_s2s, None, None), media) is again


@pytest.mark.parametrize("face", ResponseType)
@pytest.mark.parametrize("media", [JSON, NDJSON, TEXT, FORM, NOTHING])
def test_a_client_that_keeps_its_events_can_retry_whatever_it_sends(face: ResponseType, media: bytes) -> None:
    assert is_retryable(RequestOptions(None, face, False, None, None, is_queued=True), media)


@pytest.mark.parametrize(
    ("pressure", "reserved"),
    [(0.0, False), (0.5, False), (0.7499, False), (0.75, True), (0.99, True), (1.0, True), (50.0, True)],
)
def test_the_last_quarter_is_reserved_for_requests_that_cannot_be_retried(pressure: float, reserved: bool) -> None:
    assert sheds_retryable(pressure) is reserved
