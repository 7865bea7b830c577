"""Connections over TLS: counted from the accept on, bounded as without TLS, and true to their certificate."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
import uvloop
from uvicorn.server import ServerState

from collector.cli import main
from collector.http.connections import STATE
from collector.http.tls import TlsConnection
from collector.server.tls import Tls
from collector.settings import ServerSettings
from tests.certificates import Pair, make_pair
from tests.collector.http.recorder import Worker
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, eventually, read_response, running

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed; .ci/run installs it")
_MOST_CONNECTIONS = 16
_SETTINGS = """
[server]
port = {port}
workers = {workers}
grace_seconds = 8
tls_certificate = "tls.pem"
tls_key = "tls.key"
[limits]
header_seconds = 1
body_seconds = 1
event_bytes = 1024
body_bytes = 1024
connections = 16
[[property]]
portal_id = 33167
prop_id = 564990801
"""
_EVENT = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
_REQUEST = b"POST /event HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n1"


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """A collector with one worker and a certificate."""
    pair = make_pair(tmp_path)
    with running(tmp_path, workers=1, settings=_SETTINGS) as collector:
        collector.tls = pair.trusting()
        yield collector


def _raw(collector: Collector) -> socket.socket:
    """A connection that has not begun its handshake."""
    return socket.create_connection(("127.0.0.1", collector.port), timeout=PATIENCE_SECONDS)


def _open_sockets(collector: Collector) -> int:
    (worker,) = collector.workers()
    return sum(each.status == psutil.CONN_ESTABLISHED for each in worker.net_connections("tcp"))


def test_events_come_over_https_with_secure_cookies(collector: Collector) -> None:
    assert f" ready: serving on https://127.0.0.1:{collector.port} with 1 worker" in collector.stderr
    response = collector.post(_EVENT)
    assert response.status == 200
    assert "secure" in response.headers["set-cookie"].lower()
    with collector.connect() as connection:
        assert isinstance(connection, ssl.SSLSocket)
        assert connection.version() == "TLSv1.3"
    assert collector.tls
    collector.tls.set_alpn_protocols(["h2", "http/1.1"])
    with collector.connect() as connection:
        assert isinstance(connection, ssl.SSLSocket)
        assert connection.selected_alpn_protocol() == "http/1.1"


def test_the_health_command_asks_over_tls(collector: Collector, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "--config", str(collector.folder / "collector.toml")]) == 0
    assert capsys.readouterr().out == "ready\n"


def test_clients_that_never_shake_hands_neither_stay_nor_keep_others_out(collector: Collector) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(_raw(collector)) for _ in range(4 * _MOST_CONNECTIONS)]
        for number, connection in enumerate(silent):
            with suppress(ConnectionError):  # it was one too many
                connection.sendall(b"\x16\x03\x01\x02\x00\x01"[: number % 7])
        eventually(lambda: _open_sockets(collector) <= _MOST_CONNECTIONS, "no more than the limit are open")
        eventually(lambda: _is_served(collector), "another client is served")
        eventually(lambda: _open_sockets(collector) == 0, "all of them are ended")
        for connection in silent:
            with suppress(ConnectionError):
                assert connection.recv(100) == b""


def _is_served(collector: Collector) -> bool:
    with suppress(OSError):
        return collector.post(_EVENT).status == 200
    return False


def test_bytes_that_are_not_tls_leave_no_line_in_the_process_log(collector: Collector) -> None:
    before = collector.stderr
    hello = b"\x16\x03\x01\xff\xff" + bytes(70_000)
    for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", hello, b"\x15\x03\x03\x00\x02\x02\x28", b""):
        with _raw(collector) as connection, suppress(ConnectionError):
            connection.sendall(junk)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    with collector.connect() as connection, socket.socket(fileno=os.dup(connection.fileno())) as below:
        connection.sendall(_REQUEST[:20])
        below.sendall(b"x" * 100)  # not TLS, in the middle of a request
    assert collector.post(_EVENT).status == 200
    assert collector.stderr == before


def test_a_client_that_still_sends_reads_its_refusal(collector: Collector) -> None:
    with collector.connect() as connection, connection.makefile("rb") as stream:
        connection.sendall(b"POST /event?portal_id=33167&prop_id=564990801 HTTP/1.1\r\ncontent-length: 8000000\r\n\r\n")
        for _ in range(50):
            connection.sendall(b"x" * 65_536)
        assert read_response(stream.readline, stream.read).status == 413


def test_a_client_that_reads_no_responses_is_ended(collector: Collector) -> None:
    with collector.connect() as connection:
        connection.settimeout(0.2)
        with suppress(OSError):
            while True:
                connection.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 1000)
        assert _open_sockets(collector) == 1
        eventually(lambda: _open_sockets(collector) == 0, "it is ended")


def test_a_stop_does_not_wait_for_idle_clients_to_confirm_the_end_of_tls(tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    patient = _SETTINGS.replace("_seconds = 1\n", "_seconds = 100\n")
    with running(tmp_path, workers=1, settings=patient) as collector:
        collector.tls = pair.trusting()
        with collector.connect(), _raw(collector):
            assert collector.post(_EVENT).status == 200
            assert collector.stop() == 0
    assert "exceeded" not in collector.stderr
    assert "killed" not in collector.stderr


def test_a_worker_that_cannot_load_its_certificate_starts_again_until_it_can(collector: Collector) -> None:
    key = collector.folder / "tls.key"
    key.rename(collector.folder / "away")
    collector.workers()[0].kill()
    eventually(lambda: f"server.tls_key: {key}: No such file or directory" in collector.stderr, "the reason is told")
    (collector.folder / "away").rename(key)
    eventually(lambda: _is_served(collector), "it serves again")


def test_a_certificate_that_expires_soon_is_warned_of_by_check_and_at_a_start(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, days=10)
    with running(tmp_path, workers=1, settings=_SETTINGS) as collector:
        assert collector.stderr.count("server.tls_certificate expires in 10 days, at ") == 1
    done = _check(tmp_path)
    assert done.returncode == 0
    assert "server.tls_certificate expires in 10 days, at " in done.stderr
    pair.key.unlink()
    assert _check(tmp_path).stderr.endswith(f"server.tls_key: {pair.key}: No such file or directory\n")


def _check(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(PROGRAMS / "collector"), "check", "--config", str(folder / "collector.toml")]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def test_a_reload_gives_new_connections_the_new_certificate_and_keeps_the_old_ones(tmp_path: Path) -> None:
    first, second = make_pair(tmp_path, "first"), make_pair(tmp_path, "second")
    tls = Tls(_settings(first))

    async def run() -> None:
        worker = Worker()
        protocol = partial(TlsConnection, tls.context, ServerState(), {STATE: worker.connections})
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            old = await _Client.connect(port, first)
            assert await old.ask() == b"HTTP/1.1 200 OK\r\n"
            tls.reload(_settings(second))
            new = await _Client.connect(port, second)
            assert await new.ask() == await old.ask() == b"HTTP/1.1 200 OK\r\n"
            with pytest.raises(ssl.SSLCertVerificationError):
                await _Client.connect(port, first)
            await new.close()
            await old.close()
        worker.close()
        assert {request.head.scheme for request in worker.recorder.requests} == {"https"}

    uvloop.run(run())


def _settings(pair: Pair) -> ServerSettings:
    return ServerSettings(tls_certificate=str(pair.certificate), tls_key=str(pair.key))


class _Client:
    """A connection that trusts one certificate."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port: int, pair: Pair) -> "_Client":
        """Shake hands."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=pair.trusting()))

    async def ask(self) -> bytes:
        """Send a request; returns the status line."""
        self._writer.write(_REQUEST)
        status = await self._reader.readline()
        await self._reader.readuntil(b"\r\n\r\n")
        await self._reader.readexactly(1)
        return status

    async def close(self) -> None:
        """End the connection."""
        self._writer.close()
        await self._writer.wait_closed()
