"""Requests made to break a server get a response or a closed connection, and the next request is served."""

import select
import socket
from collections.abc import Iterable

import pytest

from tests.running import PATIENCE_SECONDS, Collector, Response, read_response

_TARGET = "/event?portal_id=33167&prop_id=564990801&resp_type=json"
_EVENT = b'{"ea":"a","ec":"c","sid":1,"aid":"x","uid":"u"}'


def _request(*headers: str, method: str = "POST", target: str = _TARGET, body: bytes = b"") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "host: x", *headers, "", ""]).encode() + body


_LAST = _request("connection: close", method="GET", target="/is-it-up")


def _answers(ours: Collector, *parts: bytes) -> list[Response]:
    """All responses to these bytes, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", ours.port), timeout=PATIENCE_SECONDS) as connection:
        for part in parts:
            connection.sendall(part)
        with connection.makefile("rb") as stream:
            answers = []
            while stream.peek(1):
                answers.append(read_response(stream.readline, stream.read))
            return answers


def _statuses(answers: Iterable[Response]) -> list[int]:
    return [answer.status for answer in answers]


@pytest.mark.parametrize("zeros", [1, 15, 100, 5000])
def test_a_content_length_of_many_digits_is_not_a_server_error(ours: Collector, zeros: int) -> None:
    answers = _answers(ours, _request(f"content-length: {'0' * zeros}{len(_EVENT)}", body=_EVENT), _LAST)
    assert _statuses(answers) in ([200, 404], [413])


@pytest.mark.parametrize(
    "form", [b"x=" + b"%ff" * 1_500_000, b"x=" + b"\xff" * 5_000_000, b"x=" + b"\xff" * 65_535, b"a&" * 33_000]
)
def test_a_form_that_is_too_long_is_refused_before_it_is_read(ours: Collector, form: bytes) -> None:
    response = ours.send("POST", _TARGET, form, content_type="application/x-www-form-urlencoded")
    assert response.status == 413


def test_a_form_with_every_byte_of_the_event_escaped_is_accepted(ours: Collector) -> None:
    form = b"ea=a&ec=c&sid=1&aid=x&uid=forms&note=" + b"%61" * 60_000
    assert ours.send("POST", _TARGET, form, content_type="application/x-www-form-urlencoded").status == 200


_LONG = f"content-length: {4 << 20}"


@pytest.mark.parametrize(
    ("beginning", "status"),
    [
        (_request("transfer-encoding: chunked", body=b"no number\r\n"), 400),
        (_request(_LONG, target="/event?portal_id=33167&prop_id=3"), 403),
        (_request(_LONG, target="/event?portal_id=1&prop_id=1"), 404),
        (_request(_LONG, body=b"{"), 408),
        (_request("content-length: 99999999"), 413),
        (_request(method="GET", target="/" + "a" * 60_000)[:-2], 414),
        (_request("x: " + "a" * 60_000)[:-2], 431),
    ],
)
def test_a_client_that_is_still_sending_sees_why_it_was_refused(ours: Collector, beginning: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", ours.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(beginning)
        if status == 408:
            assert select.select([connection], [], [], PATIENCE_SECONDS)[0], "limits.body_seconds is over"
        for _ in range(32):
            connection.sendall(b"a" * (64 << 10))
        with connection.makefile("rb") as stream:
            assert read_response(stream.readline, stream.read).status == status
            assert stream.read() == b""
