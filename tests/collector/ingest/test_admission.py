"""Who is let in when the log is close to its limits: the table of who can send again and of how full it is."""

import pytest

from collector.ingest.admission import can_be_resent, is_admitted
from collector.ingest.target import Face

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
    ("fullness", "again", "is_let_in"),
    [
        (0.0, True, True),
        (0.0, False, True),
        (0.5, True, True),
        (0.5, False, True),
        (0.7499, True, True),
        (0.75, True, False),
        (0.75, False, True),
        (0.99, True, False),
        (0.99, False, True),
        (1.0, True, False),
        (1.0, False, True),
        (50.0, True, False),
        (50.0, False, True),
    ],
)
def test_those_who_can_send_again_make_room_for_those_who_cannot(fullness: float, again: bool, is_let_in: bool) -> None:
    assert is_admitted(fullness, Face.JSON if again else Face.PIXEL, JSON, is_s2s=False) is is_let_in
