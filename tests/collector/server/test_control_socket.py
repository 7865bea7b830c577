"""The control socket, without a supervisor."""

import asyncio
import errno
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.server.control_socket import ReloadFunction, connect, serving_control
from collector.server.node_state import Reload
from tests.running import PATIENCE_SECONDS

_CONFIG = "/etc/tracklog/collector.toml"


async def _fail(_: Callable[[str], None]) -> Reload:
    raise ZeroDivisionError


def _reload_of(name: str, done: list[str]) -> ReloadFunction:
    """A reload that notes the name of its collector."""

    async def reload(_: Callable[[str], None]) -> Reload:
        done.append(name)
        return Reload(is_accepted=True, lines=(name,), unix_ms=0)

    return reload


async def _exchange(log_dir: Path, request: bytes) -> list[bytes]:
    """Connect and send; returns the lines of the response, up to its end."""
    reader, writer = await asyncio.open_unix_connection(sock=connect(str(log_dir)))
    writer.write(request)
    writer.write_eof()
    response = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
    writer.close()
    await writer.wait_closed()
    return response.splitlines()


def test_a_reload_that_fails_by_a_bug_ends_the_connection(tmp_path: Path) -> None:
    async def scenario() -> list[bytes]:
        faults: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        async with serving_control(str(tmp_path), _CONFIG, _fail):
            return await _exchange(tmp_path, b"\n")

    assert asyncio.run(scenario()) == [b'{"settings":"/etc/tracklog/collector.toml"}']


def test_a_client_learns_the_settings_file_before_anything_is_reloaded(tmp_path: Path) -> None:
    done: list[str] = []

    async def scenario() -> None:
        async with serving_control(str(tmp_path), _CONFIG, _reload_of("a", done)):
            assert await _exchange(tmp_path, b"") == [b'{"settings":"/etc/tracklog/collector.toml"}']
            assert done == []
            _, response = await _exchange(tmp_path, b"\n")
            assert response == b'{"lines":["a"],"is_accepted":true,"is_last":true}'

    asyncio.run(scenario())
    assert done == ["a"]


def test_a_second_collector_takes_the_socket_when_the_first_has_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    async def scenario() -> None:
        first = serving_control(str(tmp_path), _CONFIG, _reload_of("first", done))
        second = serving_control(str(tmp_path), "/b.toml", _reload_of("second", done), retry_seconds=0.01)
        await first.__aenter__()
        async with second:
            assert [record.getMessage() for record in caplog.records] == [
                f"{tmp_path}/control.sock: no socket for collector reload: another collector serves it, and this one "
                "takes it when that has ended; SIGHUP reloads as well"
            ]
            await asyncio.sleep(0.1)  # many tries
            await _exchange(tmp_path, b"\n")
            await first.__aexit__(None, None, None)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not (tmp_path / "control.sock").exists():
                    await asyncio.sleep(0.01)
            assert (await _exchange(tmp_path, b"\n"))[0] == b'{"settings":"/b.toml"}'

    asyncio.run(scenario())
    assert done == ["first", "second"]
    assert not (tmp_path / "control.sock").exists()
    assert len(caplog.records) == 1, "tries that fail again are not told"


def test_a_collector_that_ends_while_it_waits_for_the_socket_leaves_that_of_the_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving_control(str(tmp_path), _CONFIG, _fail):
            async with serving_control(str(tmp_path), "/b.toml", _fail):
                pass
            await _exchange(tmp_path, b"")

    asyncio.run(scenario())


@pytest.mark.parametrize("code", [errno.ECONNREFUSED, errno.EACCES])
def test_the_socket_of_a_killed_collector_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "control.sock"))
    if code == errno.EACCES:  # root may connect to that of another user
        monkeypatch.setattr(socket.socket, "connect_ex", lambda *_: code)

    async def scenario() -> None:
        async with serving_control(str(tmp_path), _CONFIG, _fail):
            assert await _exchange(tmp_path, b"")

    asyncio.run(scenario())
