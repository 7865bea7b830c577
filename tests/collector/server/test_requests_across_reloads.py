"""Requests that are under way while the settings change: each gets the answer that it would have got before."""

import os
import shutil
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Pair, make_pair
from tests.collector.server.reloads import PROPERTY, SETTINGS, SINK, append, change, pids, post, reload
from tests.running import PATIENCE_SECONDS, Collector, eventually, read_response, running

_BODY = b'{"ea":"view","ec":"product","sid":1,"aid":"a","uid":"u"}'
_HEAD = "POST /event?portal_id=33167&prop_id=%d HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
_SHIPPED = 'portal_id = 33167\nprop_id = 8\nack = "shipped"\nack_sink = "slow"\n'
_SLOW_SINK = '[[sink]]\ntype = "file"\nname = "slow"\ndir = "data/slow"\nflush_seconds = 1.5\n'
_CERTIFICATES = 5
_CLIENTS = 4


def test_a_second_reload_waits_for_the_first_and_finds_nothing_changed(tmp_path: Path) -> None:
    with running(tmp_path, workers=2, settings=SETTINGS) as collector, ThreadPoolExecutor(1) as pool:
        before = pids(collector)
        append(collector, SINK)
        first = pool.submit(reload, collector)
        eventually(lambda: len(pids(collector)) == 3, "a successor starts")
        second = reload(collector)
        assert first.result().stdout.endswith("sink second: added\n")
        assert (second.returncode, second.stdout) == (0, "nothing has changed\n")
        eventually(lambda: len(pids(collector)) == 2, "the new admin process has its name, which tells it from workers")
        assert pids(collector).isdisjoint(before)


def test_a_worker_that_is_killed_before_it_has_swapped_holds_up_no_reload(tmp_path: Path) -> None:
    with running(tmp_path, workers=2, settings=SETTINGS) as collector, ThreadPoolExecutor(1) as pool:
        victim = collector.workers()[0]
        victim.suspend()
        append(collector, PROPERTY)
        reloading = pool.submit(reload, collector)
        eventually(lambda: _post_of_the_other(collector) == 200, "the other worker has swapped")
        assert not reloading.done()
        victim.kill()
        assert (reloading.result().returncode, reloading.result().stdout) == (0, "property 33167/9: added\n")
        eventually(lambda: len(pids(collector)) == 2, "its successor is there")
        assert {post(collector, 9) for _ in range(20)} == {200}


def test_a_worker_that_starts_while_the_others_swap_serves_with_the_new_settings(tmp_path: Path) -> None:
    with running(tmp_path, workers=2, settings=SETTINGS) as collector:
        before = pids(collector)
        append(collector, PROPERTY)
        for victim in collector.workers():
            victim.kill()
        eventually(lambda: pids(collector) - before, "a successor starts")
        assert reload(collector).stdout == "property 33167/9: added\n"
        eventually(lambda: len(pids(collector) - before) == 2, "both are there")
        assert {post(collector, 9) for _ in range(20)} == {200}


def test_a_request_that_waits_for_its_sink_gets_its_response_across_a_swap(tmp_path: Path) -> None:
    settings = f"{SETTINGS}[[property]]\n{_SHIPPED}{_SLOW_SINK}"
    with running(tmp_path, workers=1, settings=settings) as collector, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(collector.send, "POST", "/event?portal_id=33167&prop_id=8", b"[%b,%b]" % (_BODY, _BODY))
        eventually(lambda: len(collector.stored()) == 2, "the batch is in the log")
        change(collector, f"[[property]]\n{_SHIPPED}", PROPERTY)
        assert "property 33167/8: removed" in reload(collector).stdout
        assert post(collector, 8) == 404
        response = waiting.result()
        assert (response.status, response.headers["x-event-ack"]) == (200, "shipped")
        assert len(collector.shipped("data/slow")) == 2


def test_a_request_for_a_property_that_is_removed_before_its_end_is_stored(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, settings=SETTINGS + PROPERTY) as collector, _half_sent(collector, 9) as client:
        change(collector, PROPERTY, "")
        assert reload(collector).stdout == "property 33167/9: removed\n"
        assert post(collector, 9) == 404
        client.sendall(_BODY[10:])
        with client.makefile("rb") as stream:
            assert read_response(stream.readline, stream.read).status == 200
        assert [record["prop_id"] for record in collector.stored()] == [9]


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed; .ci/run installs it")
def test_no_handshake_fails_while_certificates_are_replaced(tmp_path: Path) -> None:
    pairs = [make_pair(tmp_path, f"tls-{number}") for number in range(_CERTIFICATES)]
    trusting = ssl.create_default_context()
    for pair in pairs:
        trusting.load_verify_locations(pair.certificate)
    _serve(pairs[0], tmp_path)
    tls = 'grace_seconds = 5\ntls_certificate = "tls.pem"\ntls_key = "tls.key"'
    with (
        running(tmp_path, workers=2, settings=SETTINGS.replace("grace_seconds = 5", tls)) as collector,
        _shaking_hands(collector, trusting) as (names, failures),
    ):
        for pair in pairs[1:]:
            _serve(pair, tmp_path)
            assert reload(collector).returncode == 0
            eventually(lambda name=pair.certificate.stem: name in names, "it is served")
        assert failures == []


def test_settings_in_a_pipe_are_refused_and_keep_nobody_waiting(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, settings=SETTINGS) as collector:
        path = tmp_path / "collector.toml"
        text = path.read_text()
        path.unlink()
        os.mkfifo(path)
        collector.process.send_signal(signal.SIGHUP)
        eventually(lambda: "expected a file, found a device or pipe" in collector.stderr, "it is refused")
        path.unlink()
        path.write_text(text + PROPERTY)
        assert reload(collector).stdout == "property 33167/9: added\n"
        assert collector.stop() == 0


def _post_of_the_other(collector: Collector) -> int:
    """The status of an event; 0 if the worker that hangs was to answer."""
    try:
        with socket.create_connection(("127.0.0.1", collector.port), timeout=0.2) as client:
            client.sendall((_HEAD % (9, len(_BODY))).encode() + _BODY)
            return int(client.recv(100).split()[1])
    except TimeoutError:
        return 0


@contextmanager
def _half_sent(collector: Collector, prop_id: int) -> Iterator[socket.socket]:
    """A connection on which the worker has admitted a request, and waits for the rest of its body."""
    head = _HEAD % (prop_id, len(_BODY))
    with socket.create_connection(("127.0.0.1", collector.port), timeout=PATIENCE_SECONDS) as client:
        client.sendall(head.replace("host: x", "host: x\r\nexpect: 100-continue").encode())
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(_BODY[:10])
        yield client


@contextmanager
def _shaking_hands(collector: Collector, context: ssl.SSLContext) -> Iterator[tuple[set[str], list[str]]]:
    """Clients that shake hands and ask for health, without a pause: the names of certificates, and failures."""
    names, failures, ending = set[str](), list[str](), threading.Event()

    def shake() -> None:
        while not ending.is_set():
            try:
                names.add(_name_of_the_server(collector, context))
            except Exception as error:
                failures.append(repr(error))

    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(_CLIENTS))
        stack.callback(ending.set)
        for _ in range(_CLIENTS):
            pool.submit(shake)
        yield names, failures


def _name_of_the_server(collector: Collector, context: ssl.SSLContext) -> str:
    """Ask for health; returns the common name of the certificate."""
    with (
        socket.create_connection(("127.0.0.1", collector.port), timeout=PATIENCE_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as client,
        client.makefile("rb") as stream,
    ):
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert read_response(stream.readline, stream.read).status == 200
        certificate: dict[str, Any] = client.getpeercert() or {}
        return str(dict(part[0] for part in certificate["subject"])["commonName"])


def _serve(pair: Pair, folder: Path) -> None:
    shutil.copy(pair.certificate, folder / "tls.pem")
    shutil.copy(pair.key, folder / "tls.key")
