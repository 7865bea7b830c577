"""Bodies: of a kind that is read, whole, within limits of bytes and time."""

import asyncio
from collections.abc import Iterable

import pytest
from starlette.types import Message, Receive

from collector.config import Limits
from collector.errors import SlowBody, TooLarge, UnsupportedMedia
from collector.ingest.body import BodyReader, ClientGone, check_media

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


def _read(messages: Iterable[Message], headers: dict[bytes, bytes] | None = None) -> bytes:
    async def read() -> bytes:
        return await BodyReader(Limits(body_bytes=LIMIT)).read(_receive(messages), headers or {})

    return asyncio.run(read())


@pytest.mark.parametrize(
    "kind",
    [
        *(b"application/json", b"application/json; charset=utf-8", b"application/json;charset=UTF-8"),
        *(b"Application/JSON", b" application/json ", b"text/plain", b"text/plain;charset=UTF-8", b""),
    ],
)
@pytest.mark.parametrize("encoding", [None, b"identity", b"Identity"])
def test_plain_json_is_read_under_each_of_its_names(kind: bytes, encoding: bytes | None) -> None:
    check_media({b"content-type": kind} | ({} if encoding is None else {b"content-encoding": encoding}))


def test_a_body_of_no_type_is_read() -> None:
    check_media({})
    check_media({b"content-length": b"2", b"user-agent": b"x"})


@pytest.mark.parametrize(
    "kind",
    [
        *(b"application/xml", b"text/html", b"multipart/form-data; boundary=x", b"application/octet-stream"),
        *(b"application/json5", b"application/jsonx", b"text", b"json", b"application/json, text/plain", b"\xff"),
    ],
)
def test_other_kinds_are_refused_with_those_that_are_read(kind: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="application/json"):
        check_media({b"content-type": kind})


@pytest.mark.parametrize("encoding", [b"br", b"compress", b"x", b"identity, br"])
def test_other_encodings_are_refused(encoding: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="content-encoding"):
        check_media({b"content-type": b"application/json", b"content-encoding": encoding})


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
    endless = [{**message, "more_body": True} for message in _parts(*parts)]
    with pytest.raises(TooLarge, match="10 bytes"):
        _read(endless)


@pytest.mark.parametrize("before", [[], [b"{"], [b"{", b'"ea"']])
def test_a_client_that_goes_away_is_not_answered(before: list[bytes]) -> None:
    gone: list[Message] = [{**message, "more_body": True} for message in _parts(*before)]
    with pytest.raises(ClientGone):
        _read([*gone, {"type": "http.disconnect"}])


def test_late_bodies_are_given_up_and_their_tasks_live_on() -> None:
    async def late_then_quick(bodies: BodyReader, first: list[Message]) -> bytes:
        with pytest.raises(SlowBody, match=r"within 1\.1 s"):
            await bodies.read(_receive(first), {})
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0)
        return await bodies.read(_receive(_parts(b"next")), {})

    async def read() -> list[bytes]:
        bodies = BodyReader(Limits(body_bytes=LIMIT, body_seconds=1.1))
        begun: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}]
        return [*await asyncio.gather(late_then_quick(bodies, []), late_then_quick(bodies, begun))]

    assert asyncio.run(read()) == [b"next", b"next"]


def test_a_task_whose_body_has_arrived_is_left_alone() -> None:
    async def read() -> bytes:
        bodies = BodyReader(Limits(body_bytes=LIMIT, body_seconds=0.01))
        swept = asyncio.Event()

        async def read_then_work() -> bytes:
            body = await bodies.read(_receive(_parts(b"there")), {})
            await swept.wait()
            return body

        working = asyncio.create_task(read_then_work())
        with pytest.raises(SlowBody):
            await bodies.read(_receive([]), {})
        swept.set()
        return await working

    assert asyncio.run(read()) == b"there"


def test_a_cancellation_from_outside_stays_one() -> None:
    async def read() -> None:
        bodies = BodyReader(Limits(body_bytes=LIMIT, body_seconds=1000))
        task = asyncio.create_task(bodies.read(_receive([]), {}))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(read())


def test_a_cancellation_from_outside_stays_one_though_the_body_is_late_too() -> None:
    async def receive() -> Message:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            raise
        raise AssertionError

    async def read() -> None:
        bodies = BodyReader(Limits(body_bytes=LIMIT, body_seconds=0.01))
        task = asyncio.create_task(bodies.read(receive, {}))
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(read())
