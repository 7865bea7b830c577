"""The way without a coroutine: who takes it, that nothing has happened where nobody does, and that all are answered."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from collector.ingest.answer import Answer
from collector.ingest.head import Head, head_of
from collector.ingest.route import EventEndpoint
from collector.settings import PropertySettings
from tests.collector.live_intake import Logs, endpoint, live_intake, scope_of
from tests.wal.faulty_files import FaultyFiles

PAIR = "portal_id=1&prop_id=2&resp_type=json"
EVENT = b'{"ea":"view","ec":"c","uid":"u"}'
JSON = "application/json"
PROPERTY = PropertySettings(1, 2, required=(), redirect_hosts=("shop.example.com",), events_per_second=1)
SLOW_ACK = PropertySettings(1, 2, required=(), ack="shipped", ack_sink="file")


def _head(method: str, query: str, body: bytes | None = None, **headers: str) -> Head:
    return head_of(scope_of(method, query, body, **headers))


def _serve(
    folder: Path, use: Callable[[Logs, EventEndpoint, FaultyFiles], Awaitable[None]], prop: PropertySettings = PROPERTY
) -> None:
    files = FaultyFiles()

    async def run() -> None:
        async with live_intake(folder, files=files) as logs:
            await use(logs, endpoint(logs, prop), files)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("method", "query", "body", "headers"),
    [
        ("POST", PAIR, EVENT, {"content_type": JSON}),
        ("POST", PAIR, EVENT, {"content_type": "text/plain;charset=UTF-8"}),
        ("POST", PAIR, EVENT, {}),
        ("GET", PAIR + "&ea=view", None, {}),
        ("POST", PAIR + "&ea=view", None, {}),
        ("GET", "portal_id=1&prop_id=2&resp_type=pixel&ea=view", None, {}),
        ("POST", PAIR.replace("json", "redirect") + "&redirect_url=https://shop.example.com/&ea=click", None, {}),
    ],
)
def test_plain_events_are_taken_at_once_and_answered_when_they_are_durable(
    tmp_path: Path, method: str, query: str, body: bytes | None, headers: dict[str, str]
) -> None:
    async def use(logs: Logs, served: EventEndpoint, files: FaultyFiles) -> None:
        files.gate.clear()
        answers: list[Answer] = []
        assert served.begin(_head(method, query, body, **headers), body or b"", answers.append)
        await asyncio.sleep(0.05)
        assert answers == []
        files.gate.set()
        while not answers:
            await asyncio.sleep(0)
        assert answers[0].status in (200, 302)
        assert b"x-event-ack: fsync\r\n" in answers[0].headers
        assert len(logs.stored) == 1

    _serve(tmp_path, use)


@pytest.mark.parametrize(
    ("method", "query", "body", "headers"),
    [
        ("HEAD", PAIR + "&ea=view", None, {}),
        ("OPTIONS", PAIR, None, {}),
        ("PUT", PAIR, EVENT, {"content_type": JSON}),
        ("POST", PAIR, b"[" + EVENT + b"]", {"content_type": JSON}),
        ("POST", PAIR, b" " + EVENT, {"content_type": JSON}),
        ("POST", PAIR, EVENT, {"content_type": "application/x-ndjson"}),
        ("POST", PAIR, b"ea=view", {"content_type": "application/x-www-form-urlencoded"}),
        ("POST", PAIR, EVENT, {"content_type": "image/png"}),
        ("POST", PAIR, EVENT, {"content_encoding": "gzip"}),
        ("POST", PAIR, b'{"ea":1}', {"content_type": JSON}),
        ("POST", PAIR, b"{", {"content_type": JSON}),
        ("GET", PAIR, None, {}),
        ("GET", PAIR + "&ea=view&ea=again", None, {}),
        ("POST", "portal_id=1&prop_id=3&resp_type=json", EVENT, {"content_type": JSON}),
        (
            "POST",
            PAIR.replace("json", "redirect") + "&redirect_url=https://e.example.com/",
            EVENT,
            {"content_type": JSON},
        ),
    ],
)
def test_of_everything_else_nothing_happens(
    tmp_path: Path, method: str, query: str, body: bytes | None, headers: dict[str, str]
) -> None:
    async def use(logs: Logs, served: EventEndpoint, _: FaultyFiles) -> None:
        answers: list[Answer] = []
        assert not served.begin(_head(method, query, body, **headers), body or b"", answers.append)
        assert served.begin(_head("GET", PAIR + "&ea=view"), b"", answers.append)  # the rate allows one event
        while not answers:
            await asyncio.sleep(0)
        assert (len(logs.stored), logs.dead) == (1, [])

    _serve(tmp_path, use)


def test_an_answer_that_waits_for_a_sink_is_left_to_the_coroutine(tmp_path: Path) -> None:
    async def use(logs: Logs, served: EventEndpoint, _: FaultyFiles) -> None:
        assert not served.begin(_head("POST", PAIR, EVENT, content_type=JSON), EVENT, lambda _: None)
        assert logs.stored == []

    _serve(tmp_path, use, SLOW_ACK)


def test_who_is_above_the_rate_is_not_taken(tmp_path: Path) -> None:
    async def use(logs: Logs, served: EventEndpoint, _: FaultyFiles) -> None:
        head = _head("POST", PAIR, EVENT, content_type=JSON)
        assert [served.begin(head, EVENT, lambda _: None) for _ in range(3)] == [True, False, False]
        await logs.committer.close()
        assert len(logs.stored) == 1

    _serve(tmp_path, use)


@pytest.mark.parametrize(("face", "status"), [("json", 503), ("redirect", 302)])
def test_a_block_that_fails_is_answered_to_all_who_wait_for_it(tmp_path: Path, face: str, status: int) -> None:
    async def use(logs: Logs, served: EventEndpoint, files: FaultyFiles) -> None:
        files.fail("write", errno.ENOSPC)
        query = PAIR.replace("json", face) + "&redirect_url=https://shop.example.com/"
        body = b'{"ea":"click"}'
        answers: list[Answer] = []
        for _ in range(3):
            assert served.begin(_head("POST", query, body, content_type=JSON), body, answers.append)
        while len(answers) < 3:
            await asyncio.sleep(0)
        assert {answer.status for answer in answers} == {status}
        assert not any(b"x-event-ack" in answer.headers for answer in answers)
        assert logs.stored == []

    _serve(tmp_path, use, PropertySettings(1, 2, required=(), redirect_hosts=("shop.example.com",)))


def test_an_answer_that_can_not_be_sent_keeps_none_from_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(logs: Logs, served: EventEndpoint, _: FaultyFiles) -> None:
        def fail(_: Answer) -> None:
            raise OSError("no way")

        answers: list[Answer] = []
        for respond in (fail, answers.append):
            assert served.begin(_head("POST", PAIR, EVENT, content_type=JSON), EVENT, respond)
        while not answers:
            await asyncio.sleep(0)
        assert "an answer was not sent" in caplog.text
        assert len(logs.stored) == 2

    _serve(tmp_path, use, PropertySettings(1, 2, required=()))
