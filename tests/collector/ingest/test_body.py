"""Bodies: of a kind that is read, whole, within limits of bytes and time."""

import asyncio
from collections.abc import Iterable

import pytest
from starlette.types import Message, Receive

from collector.errors import Overloaded, SlowBody, TooLarge, UnsupportedMedia
from collector.ingest.body import BodyReader, ClientGone, has_body, media_of
from collector.ingest.cycle import IS_LATE
from collector.settings import Limits

LIMIT = 10


def _parts(*parts: bytes) -> list[Message]:
    last = len(parts) - 1
    return [{"type": "http.request", "body": part, "more_body": at < last} for at, part in enumerate(parts)]


def _receive(messages: Iterable[Message]) -> Receive:
    """Gives these messages, and then nothing for ever."""
    waiting = iter(messages)

    async def receive() -> Message:
        for message in waiting:
            await asyncio.sleep(0)
            return message
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def _begun(*parts: bytes) -> list[Message]:
    """Parts with more behind them."""
    return [{**message, "more_body": True} for message in _parts(*parts)]


def _read(messages: Iterable[Message], headers: dict[bytes, bytes] | None = None, *, is_late: bool = False) -> bytes:
    scope = {IS_LATE: True} if is_late else {}

    async def read() -> bytes:
        return await BodyReader(Limits(body_bytes=LIMIT)).read(scope, _receive(messages), headers or {})

    return asyncio.run(read())


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
def test_a_kind_that_is_read_is_known_under_each_of_its_names(sent: bytes, kind: bytes) -> None:
    assert media_of({b"content-type": sent}) == kind


def test_a_body_of_no_type_is_read() -> None:
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
def test_other_kinds_are_refused_with_those_that_are_read(kind: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="application/json"):
        media_of({b"content-type": kind})


@pytest.mark.parametrize(
    ("headers", "is_there"),
    [
        ({}, False),
        ({b"content-length": b"0"}, False),
        ({b"content-length": b"2"}, True),
        ({b"transfer-encoding": b"chunked"}, True),
        ({b"content-type": b"application/json"}, False),
    ],
)
def test_a_body_is_there_where_it_is_announced(headers: dict[bytes, bytes], is_there: bool) -> None:
    assert has_body(headers) is is_there


@pytest.mark.parametrize(
    "parts",
    [[b"{}"], [b""], [b"", b"", b""], [b"0123456789"], [b"01234", b"56789"], [bytes([b]) for b in b"0123456789"]],
)
def test_a_body_is_put_together_from_its_parts(parts: list[bytes]) -> None:
    assert _read(_parts(*parts)) == b"".join(parts)


def test_a_body_is_read_up_to_its_last_part_and_no_further() -> None:
    assert _read([*_parts(b"first"), *_parts(b"second")]) == b"first"


@pytest.mark.parametrize("announced", [b"11", b"99999999999999999999"])
def test_a_body_that_announces_too_much_is_refused_before_it_arrives(announced: bytes) -> None:
    with pytest.raises(TooLarge, match="10 bytes"):
        _read([], {b"content-length": announced})


def test_a_body_that_announces_the_limit_is_read() -> None:
    assert _read(_parts(b"0123456789"), {b"content-length": b"10"}) == b"0123456789"


@pytest.mark.parametrize("parts", [[b"0123456789a"], [b"0123456789", b"a"], [b"012345", b"6789a", b"bcdef"]])
def test_a_body_that_brings_too_much_is_refused_at_once(parts: list[bytes]) -> None:
    with pytest.raises(TooLarge, match="10 bytes"):
        _read(_begun(*parts))


@pytest.mark.parametrize("before", [[], [b"{"], [b"{", b'"ea"']])
def test_a_client_that_goes_away_is_not_answered(before: list[bytes]) -> None:
    with pytest.raises(ClientGone):
        _read([*_begun(*before), {"type": "http.disconnect"}])


def test_a_body_that_is_late_is_given_up() -> None:
    with pytest.raises(SlowBody):
        _read(_begun(b"{"), is_late=True)


def test_a_body_that_is_whole_though_late_is_taken() -> None:
    assert _read(_parts(b"{}"), is_late=True) == b"{}"


def test_a_cancellation_from_outside_stays_one() -> None:
    async def read() -> None:
        task = asyncio.create_task(BodyReader(Limits()).read({}, _receive([]), {}))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(read())


_MIB = 1 << 20


def test_bodies_over_the_memory_for_all_are_shed_and_give_their_share_back() -> None:
    bodies = BodyReader(Limits(body_bytes=6 * _MIB, in_flight_bytes=8 * _MIB))
    half = b"x" * (5 * _MIB)

    async def read(messages: list[Message]) -> bytes:
        return await bodies.read({}, _receive(messages), {})

    async def run() -> None:
        first = asyncio.create_task(read(_begun(half)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await read(_begun(half))
        assert await read(_parts(b"{", b"}")) == b"{}"
        first.cancel()
        await asyncio.wait([first])
        assert await read(_parts(half, b"}")) == half + b"}"

    asyncio.run(run())
