"""Who is let in when the log is close to its limits: the table of who can send again and of how full it is."""

import pytest

from collector.ingest.options import Face
from collector.ingest.policy.load_shedding import can_be_resent, is_reserved

JSON, NDJSON, TEXT, FORM, NOTHING = (
    *(b"application/json", b"application/x-ndjson", b"text/plain"),
    *(b"application/x-www-form-urlencoded", b""),
)


@pytest.mark.parametrize(
    ("face", "media", "is_s2s", "again"),
    [
        (Face.JSON, JSON, False, True),
        (Face.JSON, NDJSON, False, True),
        (Face.JAVASCRIPT, JSON, False, True),
        (Face.JAVASCRIPT, NDJSON, False, True),
        (Face.JSON, TEXT, False, False),
        (Face.JSON, FORM, False, False),
        (Face.JSON, NOTHING, False, False),
        (Face.JAVASCRIPT, TEXT, False, False),
        (Face.JAVASCRIPT, NOTHING, False, False),
        (Face.PIXEL, NOTHING, False, False),
        (Face.PIXEL, JSON, False, False),
        (Face.REDIRECT, NOTHING, False, False),
        (Face.REDIRECT, JSON, False, False),
        *((face, media, True, True) for face in Face for media in (JSON, NDJSON, TEXT, FORM, NOTHING)),
    ],
)
def test_programs_that_read_the_answer_can_send_again_and_beacons_links_and_images_cannot(
    face: Face, media: bytes, is_s2s: bool, again: bool
) -> None:
    assert can_be_resent(face, media, is_s2s=is_s2s) is again


@pytest.mark.parametrize(
    ("fullness", "reserved"),
    [(0.0, False), (0.5, False), (0.7499, False), (0.75, True), (0.99, True), (1.0, True), (50.0, True)],
)
def test_what_is_left_is_for_those_who_cannot_send_again(fullness: float, reserved: bool) -> None:
    assert is_reserved(fullness) is reserved
