"""503: waiting and new requests while the log fails, stalls or closes."""

import asyncio
import errno
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlencode

import pytest

from collector.ingest.endpoint import EventEndpoint
from collector.ingest.responses import GIF
from collector.settings import PropertySettings
from tests.collector.live_intake import Got, Logs, ask, endpoint, live_intake
from tests.running import PATIENCE_SECONDS
from tests.wal.faulty_files import FaultyFiles
from wal.committer import Committer
from wal.errors import LogPoisoned

EVENT = json.dumps({"ea": "click", "ec": "c", "sid": 1, "aid": "a", "uid": "u"}).encode()
PROPERTY = PropertySettings(portal_id=1, prop_id=2, redirect_hosts=("shop.example.com",))
CLICK = "&redirect_url=https%3A%2F%2Fshop.example.com%2F"
FACES = ("javascript", "json", "pixel")


def _run(folder: Path, use: Callable[[FaultyFiles, Logs, EventEndpoint], Awaitable[None]]) -> None:
    files = FaultyFiles()

    async def run() -> None:
        async with live_intake(folder, files=files) as logs:
            await use(files, logs, endpoint(logs, PROPERTY))

    asyncio.run(asyncio.wait_for(run(), PATIENCE_SECONDS))


def _post(served: EventEndpoint, face: str = "json", more: str = "") -> Awaitable[Got]:
    return ask(served, "POST", f"portal_id=1&prop_id=2&resp_type={face}{more}", EVENT, content_type="application/json")


def _check_shed(answer: Got, face: str) -> None:
    headers = dict(answer.headers)
    assert (answer.status, headers[b"retry-after"]) == (503, b"1")
    assert not {b"x-event-id", b"x-event-ack", b"set-cookie"} & set(headers)
    if face == "pixel":
        assert answer.body == GIF
    else:
        assert json.loads(answer.body)["code"] == "unavailable"


@pytest.mark.parametrize("face", FACES)
def test_while_a_commit_is_stalled_requests_are_shed_and_the_waiting_one_gets_the_true_result(
    tmp_path: Path, face: str
) -> None:
    async def use(files: FaultyFiles, logs: Logs, served: EventEndpoint) -> None:
        files.gate.clear()
        waiting = asyncio.ensure_future(_post(served))
        while logs.committer.pressure <= 1:  # stall_seconds, a second, must pass
            await asyncio.sleep(0.05)
        _check_shed(await _post(served, face), face)
        click = await _post(served, "redirect", CLICK)
        assert (click.status, dict(click.headers)[b"location"]) == (302, b"https://shop.example.com/")
        files.gate.set()
        assert (await waiting).status == 200
        assert (await _post(served)).status == 200
        assert (len(logs.stored), logs.dead) == (2, [])

    _run(tmp_path, use)


@pytest.mark.parametrize("face", FACES)
def test_a_full_disk_sheds_requests_until_there_is_room(tmp_path: Path, face: str) -> None:
    async def use(files: FaultyFiles, logs: Logs, served: EventEndpoint) -> None:
        files.fail("write", errno.ENOSPC)
        _check_shed(await _post(served, face), face)
        assert (await _post(served)).status == 200
        assert (len(logs.stored), logs.dead) == (1, [])

    _run(tmp_path, use)


@pytest.mark.parametrize("face", FACES)
def test_after_a_failed_fsync_nothing_is_acknowledged(tmp_path: Path, face: str) -> None:
    async def use(files: FaultyFiles, logs: Logs, served: EventEndpoint) -> None:
        files.fail("sync", errno.EIO)
        for _ in range(3):
            _check_shed(await _post(served, face), face)
        assert logs.dead == []
        with pytest.raises(LogPoisoned):
            logs.committer.log.commit(EVENT + b"\n", 1)

    _run(tmp_path, use)


@pytest.mark.parametrize("face", FACES)
def test_while_the_log_closes_requests_are_shed(tmp_path: Path, face: str) -> None:
    async def use(_files: FaultyFiles, logs: Logs, served: EventEndpoint) -> None:
        assert (await _post(served)).status == 200
        await logs.committer.close()
        _check_shed(await _post(served, face), face)
        assert len(logs.stored) == 1

    _run(tmp_path, use)


@pytest.mark.parametrize(("more", "status"), [("", 200), ("&queued=0", 200), ("&queued=1", 503)])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_near_the_limit_a_beacon_is_shed_only_if_its_client_keeps_the_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, more: str, status: int
) -> None:
    monkeypatch.setattr(Committer, "pressure", property(lambda _: 0.8))

    async def use(_files: FaultyFiles, logs: Logs, served: EventEndpoint) -> None:
        query = f"portal_id=1&prop_id=2&resp_type=json{more}"
        if method == "GET":
            answer = await ask(served, method, f"{query}&{urlencode(json.loads(EVENT))}")
        else:
            answer = await ask(served, method, query, EVENT, content_type="text/plain")
        assert answer.status == status
        assert len(logs.stored) == (status == 200)

    _run(tmp_path, use)
