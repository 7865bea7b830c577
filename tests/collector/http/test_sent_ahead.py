"""Bytes that wait to be parsed: the size of the next piece."""

import pytest

from collector.http.in_flight import InFlight
from collector.http.sent_ahead import PIECE_BYTES, SentAhead

BODY = b"x" * 20_000
HEAD = b"POST /event HTTP/1.1\r\nContent-Length: %d\r\n\r\n"


def _piece(sent: bytes, body_bytes: int | None = None) -> int:
    ahead = SentAhead(InFlight(1 << 30))
    assert ahead.add(sent)
    return len(ahead.take(body_bytes))


def test_a_request_with_a_long_body_is_one_piece() -> None:
    request = HEAD % len(BODY) + BODY
    assert _piece(request + request) == len(request)


def test_a_body_of_known_length_is_taken_up_to_its_end() -> None:
    assert _piece(BODY + HEAD, len(BODY)) == len(BODY)


@pytest.mark.parametrize(
    "sent",
    [
        HEAD % 1 + b"x" + BODY,
        HEAD.replace(b"Content-Length: %d", b"Transfer-Encoding: chunked") + BODY,
        HEAD.replace(b"%d", b"1x") + BODY,
        HEAD.replace(b"%d", b"9" * 5000) + BODY,
        HEAD[:-2] + BODY,
        BODY,
    ],
)
def test_other_requests_are_parsed_in_short_pieces(sent: bytes) -> None:
    assert _piece(sent) == PIECE_BYTES


def test_a_chunk_that_looks_like_a_head_does_not_lengthen_its_piece() -> None:
    assert _piece(HEAD % len(BODY) + BODY, 0) == PIECE_BYTES


def test_no_piece_is_longer_than_one_read_of_the_socket() -> None:
    assert _piece(HEAD % 900_000 + BODY * 45) == 64 << 10
