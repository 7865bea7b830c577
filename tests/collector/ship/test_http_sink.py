"""The HTTP sink: what it sends, byte for byte; what each answer means; and what an error never tells."""

import asyncio
import gzip
import os
import re
import ssl
import subprocess
import sys
import threading
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import zstandard

from bench.processes import free_port
from collector.errors import BadSettings, BatchRefused, SinkError
from collector.ship.batch import Batch, Part
from collector.ship.mark import Mark, Resumption
from collector.ship.sinks.http.settings import HttpSinkSettings
from collector.ship.sinks.http.sink import HttpSink
from tests.destinations.http import HttpReceiver
from tests.destinations.http_server import Request, Response, server

LOG_ID = "0123456789abcdef"
TOKEN = f"{LOG_ID}:1:148-1:900:0a1b2c3d"
LINES = [b'{"id":"%b-%d","event":{"ea":"view, \xc3\xa9\\n","sid":%d}}' % (LOG_ID.encode(), n, n) for n in range(7, 11)]
BATCH = Batch(
    LOG_ID, TOKEN, (Part(1, 7, 8, b"\n".join([*LINES[:2], b""])), Part(2, 9, 10, b"\n".join([*LINES[2:], b""])))
)
NDJSON = b"\n".join([*LINES, b""])
ARRAY = b"[" + b",".join(LINES) + b"]"
SECRET = "s3cret-value-of-the-key"


class Scripted:
    """A server that gives one answer after the other, the last of them for ever, and keeps what it was asked."""

    def __init__(self, *responses: Response) -> None:
        self.requests: list[Request] = []
        self._responses = list(responses or [Response()])
        self._server = server(0, self._respond)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _respond(self, request: Request) -> Response:
        self.requests.append(request)
        return self._responses.pop(0) if len(self._responses) > 1 else self._responses[0]

    @contextmanager
    def serving(self) -> Iterator[None]:
        with _serving(self._server):
            yield


@contextmanager
def _serving(listener: ThreadingHTTPServer) -> Iterator[None]:
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


@contextmanager
def responding(*responses: Response) -> Iterator[Scripted]:
    scripted = Scripted(*responses)
    with scripted.serving():
        yield scripted


def _with_sink(act: Callable[[HttpSink], Awaitable[Any]], consumer: str = "http", **settings: Any) -> Any:
    """What `act` returns for a sink with these settings, which is closed whatever comes."""

    async def run() -> Any:
        sink = HttpSink(msgspec.convert(settings | {"type": "http"}, HttpSinkSettings), consumer)
        try:
            return await act(sink)
        finally:
            await sink.close()

    return asyncio.run(run())


def _deliver(*batches: Batch, **settings: Any) -> None:
    async def act(sink: HttpSink) -> None:
        await sink.open(LOG_ID, 7)
        for batch in batches:
            await sink.deliver(batch)

    _with_sink(act, **settings)


def _open(sequence: int, **settings: Any) -> int:
    found: Resumption = _with_sink(lambda sink: sink.open(LOG_ID, sequence), **settings)
    return found.next


def _error(**settings: Any) -> SinkError:
    with pytest.raises(SinkError) as caught:
        _deliver(BATCH, **settings)
    return caught.value


@pytest.mark.parametrize(
    ("body", "type_", "expected"), [("ndjson", "application/x-ndjson", NDJSON), ("array", "application/json", ARRAY)]
)
def test_a_body_is_the_lines_of_the_log_byte_for_byte(body: str, type_: str, expected: bytes) -> None:
    with responding() as there:
        _deliver(BATCH, url=f"{there.url}/in", body=body, compression="none")
    request = there.requests[0]
    assert (request.method, request.target, request.body) == ("POST", "/in", expected)
    assert request.headers["content-type"] == type_
    assert request.headers["content-length"] == str(len(expected))
    assert request.headers["idempotency-key"] == TOKEN
    assert "content-encoding" not in request.headers


@pytest.mark.parametrize(("compression", "inflate"), [("zstd", zstandard.decompress), ("gzip", gzip.decompress)])
def test_a_compressed_body_is_the_same_bytes_every_time(compression: str, inflate: Callable[[bytes], bytes]) -> None:
    with responding() as there:
        _deliver(BATCH, BATCH, url=there.url, compression=compression)
        _deliver(BATCH, url=there.url, compression=compression)
    assert {request.headers["content-encoding"] for request in there.requests} == {compression}
    assert len({request.body for request in there.requests}) == 1
    assert inflate(there.requests[0].body) == NDJSON


def test_no_time_is_in_a_gzip_body() -> None:
    with responding() as there:
        _deliver(BATCH, url=there.url, compression="gzip")
    assert there.requests[0].body[4:8] == bytes(4)


def test_a_batch_of_many_megabytes_goes_out_whole() -> None:
    line = b'{"pad":"%b"}\n' % (b"x" * 1000)
    payload = line * 12_000
    with responding() as there:
        _deliver(Batch(LOG_ID, TOKEN, (Part(1, 1, 12_000, payload),)), url=there.url, compression="none")
    assert there.requests[0].body == payload


def test_a_url_is_filled_in_and_nothing_in_a_value_has_a_meaning_there() -> None:
    odd = BATCH._replace(token="a b&c=d/e?f#g+7-8%'")
    with responding() as there:
        _deliver(odd, url=there.url + "/in/{log_id}/{first}/{last}?query=INSERT INTO t&token={token}")
    place = urlsplit(there.requests[0].target)
    assert place.path == f"/in/{LOG_ID}/7/10"
    assert parse_qs(place.query) == {"query": ["INSERT INTO t"], "token": [odd.token]}


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_delivered(status: int) -> None:
    with responding(Response(status)) as there:
        _deliver(BATCH, url=there.url)
    assert len(there.requests) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_final_status_refuses_the_batch_with_the_response_as_its_reason(status: int) -> None:
    with responding(Response(status, b"row 3:\n\tno \x1b[31mred\x00 " + b"x" * 9000)) as there:
        error = _error(url=f"{there.url}/in")
    assert isinstance(error, BatchRefused)
    assert str(error) == f"{there.url}/in answered {status}: row 3: no [31mred " + "x" * (
        200 - len("row 3: no [31mred ")
    )


@pytest.mark.parametrize("status", [401, 403, 404, 405, 408, 409, 415, 418, 429, 500, 501, 502, 503, 504])
def test_any_other_status_is_tried_again(status: int) -> None:
    with responding(Response(status, b"not now"), Response()) as there:
        error = _error(url=f"{there.url}/in")
        _deliver(BATCH, url=there.url)
    assert not isinstance(error, BatchRefused)
    assert str(error).startswith(f"{there.url}/in answered {status}: not now; ")
    assert error.wait_seconds == 0
    assert there.requests[0].body == there.requests[1].body


def test_which_statuses_are_final_is_a_setting() -> None:
    with responding(Response(409), Response(400)) as there:
        assert isinstance(_error(url=there.url, final_statuses=[409]), BatchRefused)
        assert not isinstance(_error(url=there.url, final_statuses=[409]), BatchRefused)


@pytest.mark.parametrize("status", [429, 503, 500, 302])
@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [
        ("7", 7),
        (" 120 ", 120),
        ("7200", 3600),
        (formatdate(1_000_090, usegmt=True), 90),
        (formatdate(1_900_000_000, usegmt=True), 3600),
        (formatdate(999_000, usegmt=True), 0),
        ("soon", 0),
        ("-5", 0),
        ("1.5", 0),
        ("9" * 400, 3600),
        ("", 0),
    ],
)
def test_retry_after_is_honoured_as_seconds_or_a_date_up_to_an_hour(
    status: int, retry_after: str, expected: float
) -> None:
    headers = {"Retry-After": retry_after, "Date": formatdate(1_000_000, usegmt=True)}
    with responding(Response(status, headers=headers)) as there:
        assert _error(url=there.url).wait_seconds == expected


def test_retry_after_as_a_date_without_the_receivers_clock_is_by_ours() -> None:
    with responding(Response(503, headers={"Retry-After": formatdate(4_000_000_000, usegmt=True)})) as there:
        assert _error(url=there.url).wait_seconds == 3600


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("/b?key=hidden#x", " to {url}/b"),
        ("http://u:hidden@other.example/x", " to http://other.example/x"),
        ("http://[", ""),
    ],
)
def test_a_redirect_is_not_followed_but_named(location: str, named: str) -> None:
    with responding(Response(307, headers={"Location": location})) as there:
        error = _error(url=f"{there.url}/a")
    assert len(there.requests) == 1
    named = named.replace("{url}", there.url)
    assert (
        str(error) == f"{there.url}/a answered 307, a redirect{named}, which is not followed; set the sink's URL to it"
    )


def test_no_response_in_time_is_tried_again() -> None:
    release = threading.Event()

    def never(request: Request) -> Response:
        release.wait(30)
        return Response()

    with _serving(listener := server(0, never)):
        error = _error(url=f"http://127.0.0.1:{listener.server_port}/in", timeout_seconds=0.2)
        release.set()
    assert str(error).endswith("/in: no answer in 0.2 s; see what the receiver does, or raise `timeout_seconds`")


def test_nobody_there_is_tried_again() -> None:
    port = free_port()
    error = _error(url=f"http://127.0.0.1:{port}/in?key=hidden")
    assert str(error).startswith(f"http://127.0.0.1:{port}/in: can't connect: ")
    assert not isinstance(error, BatchRefused)


def test_a_name_that_nobody_knows_is_tried_again() -> None:
    assert str(_error(url="http://nowhere.invalid/in")).startswith("http://nowhere.invalid/in: can't connect: ")


def _against_bytes(response: bytes) -> SinkError:
    """The error for a server that answers with just these bytes and closes."""

    async def run() -> SinkError:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(response)
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
            port = listener.sockets[0].getsockname()[1]
            sink = HttpSink(HttpSinkSettings(url=f"http://127.0.0.1:{port}/in?key=hidden"), "http")
            await sink.open(LOG_ID, 7)
            try:
                with pytest.raises(SinkError) as caught:
                    await sink.deliver(BATCH)
            finally:
                await sink.close()
        return caught.value

    return asyncio.run(run())


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nha",
        b"HTTP/1.1 400 Bad\r\ncontent-length: 10\r\n\r\nhalf",
    ],
)
def test_a_response_that_is_not_whole_is_no_response(response: bytes) -> None:
    error = _against_bytes(response)
    assert not isinstance(error, BatchRefused)
    assert "hidden" not in str(error)


def test_a_response_without_end_is_read_only_at_its_beginning() -> None:
    with responding(Response(500, b"y" * 50_000_000), Response(200, b"z" * 50_000_000)) as there:
        assert str(_error(url=there.url)).count("y") == 200 + "; see the receiver's log".count("y")
        _deliver(BATCH, url=there.url)


@pytest.mark.parametrize(
    ("body", "sequence"),
    [
        (b"8", 8),
        (b"8\n", 8),
        (b"8 0a1b2c3d\n", 8),
        (b'"8 0a1b2c3d"\n', 8),
        (b"3 0a1b2c3d", 7),
        (b'"8"\n', 8),
        (b"900719925474099", 900719925474099),
        (b"7", 7),
        (b"3", 7),
        (b"0", 7),
        (b"", 7),
    ],
)
def test_what_the_receiver_wants_next_moves_us_on_but_never_back(body: bytes, sequence: int) -> None:
    with responding(Response(200, body)) as there:
        assert _open(7, url=there.url, resume_url=there.url + "/next?log={log_id}") == sequence
    assert (there.requests[0].method, there.requests[0].target) == ("GET", f"/next?log={LOG_ID}")
    assert there.requests[0].body == b""
    assert "content-type" not in there.requests[0].headers


@pytest.mark.parametrize(
    "body",
    [
        b"eight",
        b"-8",
        b"8.0",
        b'"8',
        b"8 9",
        b"8 0A1B2C3D",
        b"8 0a1b2c3d4",
        b'"8" 0a1b2c3d',
        b'""',
        b"9" * 17,
        b"9" * 100_000,
        b'{"next":8}',
        b"\xff",
    ],
)
def test_a_response_that_is_not_a_sequence_is_an_error(body: bytes) -> None:
    with responding(Response(200, body)) as there, pytest.raises(SinkError, match="expected the sequence to go on at"):
        _open(7, url=there.url, resume_url=f"{there.url}/next")


@pytest.mark.parametrize(
    ("body", "mark"),
    [
        (b"8", (8, "")),
        (b"8 0a1b2c3d\n", (8, "0a1b2c3d")),
        (b'"8 0a1b2c3d"', (8, "0a1b2c3d")),
        (b"3 0a1b2c3d", (3, "0a1b2c3d")),
        (b"", None),
        (b"0", None),
    ],
)
def test_what_the_receiver_tells_of_itself_is_its_mark(body: bytes, mark: tuple[int, str] | None) -> None:
    with responding(Response(200, body)) as there:
        settings = {"url": there.url, "resume_url": f"{there.url}/next?key=hidden"}
        found: Resumption = _with_sink(lambda sink: sink.open(LOG_ID, 7), **settings)
    assert found.mark == (mark and Mark(*mark, f"the answer of {there.url}/next"))


def test_a_request_tells_the_chain_of_its_last_event_where_that_is_known() -> None:
    known = BATCH._replace(parts=(BATCH.parts[0], BATCH.parts[1]._replace(header_crc=0xA1B2C3D)))
    with responding() as there:
        _deliver(known, BATCH, url=there.url)
    assert [request.headers.get("x-log-chain") for request in there.requests] == ["0a1b2c3d", None]


@pytest.mark.parametrize("status", [302, 400, 404, 422, 503])
def test_a_receiver_that_cannot_name_its_next_sequence_is_retried_and_refuses_nothing(status: int) -> None:
    with (
        responding(Response(status, headers={"Retry-After": "9"})) as there,
        pytest.raises(SinkError, match=f"/next answered {status}") as caught,
    ):
        _open(7, url=there.url, resume_url=f"{there.url}/next")
    assert not isinstance(caught.value, BatchRefused)
    assert caught.value.wait_seconds == 9


def test_without_a_resume_url_the_receiver_gets_no_request() -> None:
    assert _open(7, url=f"http://127.0.0.1:{free_port()}") == 7


def test_a_replay_does_not_ask_what_the_receiver_wants_next() -> None:
    settings = {"url": "http://127.0.0.1:1", "resume_url": "http://127.0.0.1:1/next"}
    assert _open(7, consumer="http.replay.may", **settings) == 7


def test_headers_come_from_the_settings_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLOG_TEST_AUTH", f"Bearer {SECRET}\n")
    headers = {"Authorization": "env:TRACKLOG_TEST_AUTH", "X-Tenant": "shop", "Content-Type": "text/plain"}
    with responding(Response(200, b"7")) as there:
        _deliver(BATCH, url=there.url, resume_url=there.url, headers=headers)
    for request in there.requests:
        assert request.headers["authorization"] == f"Bearer {SECRET}"
        assert request.headers["x-tenant"] == "shop"
    assert there.requests[1].headers["content-type"] == "text/plain"


@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_secret_that_the_receiver_echoes_is_in_no_error(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setenv("TRACKLOG_TEST_AUTH", f"Bearer {SECRET}")
    echo = f"'Bearer {SECRET}' is wrong, {SECRET} is not known, nor is p4ss".encode()
    with responding(Response(status, echo)) as there:
        url = there.url.replace("//", "//user:p4ss@") + "/in?key=hidden"
        error = _error(url=url, headers={"X-Key": "env:TRACKLOG_TEST_AUTH"})
    assert f"{there.url}/in answered {status}: 'env:TRACKLOG_TEST_AUTH' is wrong, env:" in str(error)
    for secret in (SECRET, "p4ss", "user", "hidden"):
        assert secret not in str(error) + repr(error)
    assert error.__cause__ is None


def test_a_secret_that_stands_in_the_settings_is_in_no_error_either() -> None:
    echo = f"'Bearer {SECRET}' is wrong, {SECRET} is not known, nor p@ss, p%40ss; shop is closed".encode()
    with responding(Response(401, echo)) as there:
        url = there.url.replace("//", "//user:p%40ss@") + "/in"
        error = _error(url=url, headers={"X-Api-Key": f"Bearer {SECRET}", "X-Tenant": "shop"})
    assert "'(X-Api-Key)' is wrong, (X-Api-Key) is not known" in str(error)
    assert "nor (password), (password); shop is closed" in str(error)
    assert SECRET not in str(error)


def test_the_user_in_a_url_is_sent_as_basic_authorization() -> None:
    with responding() as there:
        _deliver(BATCH, url=there.url.replace("//", "//user:p4ss@"))
    assert there.requests[0].headers["authorization"] == "Basic dXNlcjpwNHNz"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "ftp://u:p4ss@h/in"}, "url of sink http: expected http://"),
        ({"url": "no URL with p4ss"}, "url of sink http: expected http://"),
        ({"url": "http://h:p4ss/"}, "url of sink http: expected http://"),
        ({"url": "http://h", "resume_url": "p4ss"}, "resume_url of sink http: expected http://"),
        ({"url": "http://h", "final_statuses": [200]}, "final_statuses of sink http: expected 400 to 599, found 200"),
        (
            {"url": "http://h", "headers": {"Host": "p4ss"}},
            "headers.Host of sink http: the sink sets this header itself",
        ),
        ({"url": "http://h", "headers": {"a b": "p4ss"}}, "headers.a b of sink http: expected a header's name"),
        ({"url": "http://h", "headers": {"a": "p4ss\r\nb: c"}}, "headers.a of sink http: expected printable ASCII"),
        ({"url": "http://h", "headers": {"a": "env:TRACKLOG_TEST_EVIL"}}, "headers.a of sink http: expected printable"),
        (
            {"url": "http://h", "headers": {"a": "env:TRACKLOG_TEST_UNSET"}},
            "TRACKLOG_TEST_UNSET to be set in the environment",
        ),
        ({"url": "http://u:p4ss@h", "headers": {"Authorization": "x"}}, "expected no authorization beside the user"),
    ],
)
def test_settings_that_cannot_be_sent_are_refused_without_telling_a_secret(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], message: str
) -> None:
    monkeypatch.setenv("TRACKLOG_TEST_EVIL", "p4ss\nx: y")
    with pytest.raises(BadSettings) as caught:
        HttpSink(msgspec.convert(settings | {"type": "http"}, HttpSinkSettings), "http")
    assert message in str(caught.value)
    assert "p4ss" not in str(caught.value)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that nobody has signed, with its key."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path) + ".key"]
    subprocess.run([*command, "-out", str(path)], check=True, capture_output=True)
    return path


def _say_nothing(request: Any, client_address: Any) -> None:
    """Of a client that does not trust us."""


@contextmanager
def _responding_over_tls(certificate: Path) -> Iterator[Scripted]:
    scripted = Scripted()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, str(certificate) + ".key")
    scripted._server.socket = context.wrap_socket(scripted._server.socket, server_side=True)
    scripted._server.handle_error = _say_nothing  # type: ignore[method-assign]
    scripted.url = scripted.url.replace("http:", "https:")
    with scripted.serving():
        yield scripted


def test_a_certificate_that_is_not_trusted_is_an_error_that_names_the_host(certificate: Path) -> None:
    with _responding_over_tls(certificate) as there:
        error = _error(url=f"{there.url}/in?key=hidden")
    assert str(error).startswith(f"{there.url}/in: TLS: self-signed certificate; SSL_CERT_FILE names ")
    assert there.requests == []


def test_an_error_names_no_key_of_the_path() -> None:
    with responding() as there:
        url = there.url.replace("http:", "https:")
        assert str(_error(url=f"{url}/hooks/a1b2c3d4/v2")).startswith(f"{url}/hooks/***/v2: TLS: ")


def test_plain_http_where_tls_is_expected_is_an_error_that_names_the_host() -> None:
    with responding() as there:
        url = there.url.replace("http:", "https:")
        assert str(_error(url=f"{url}/in")).startswith(f"{url}/in: TLS: the handshake failed; ")


_OVER_TLS = """
import asyncio, sys
from collector.ship.sinks.http.settings import HttpSinkSettings
from collector.ship.batch import Batch, Part
from collector.ship.sinks.http.sink import HttpSink

async def main() -> None:
    asyncio.get_running_loop().slow_callback_duration = 60  # a busy machine is slow
    sink = HttpSink(HttpSinkSettings(url=sys.argv[1]), "http")
    await sink.open("0123456789abcdef", 1)
    await sink.deliver(Batch("0123456789abcdef", "t", (Part(1, 1, 1, b"{}\\n"),)))
    await sink.close()

asyncio.run(main(), debug=True)
"""


def test_authorities_come_from_ssl_cert_file_and_a_close_leaves_nothing_open(certificate: Path) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", _OVER_TLS]
    with _responding_over_tls(certificate) as there:
        environment = os.environ | {"SSL_CERT_FILE": str(certificate)}
        command.append(there.url)
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert there.requests[0].inflated == b"{}\n"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[HttpReceiver]:
    destination = HttpReceiver(tmp_path)
    yield destination
    destination.close()


def _settings(receiver: HttpReceiver) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads(receiver.toml())["sink"][0]
    return table


def _batch(first: int, last: int) -> Batch:
    lines = [b'{"id":"%b-%d","event":{}}' % (LOG_ID.encode(), n) for n in range(first, last + 1)]
    return Batch(LOG_ID, f"{LOG_ID}:{first}-{last}", (Part(1, first, last, b"\n".join([*lines, b""])),))


def _lines(batch: Batch) -> list[bytes]:
    return [event.line for event in batch.events()]


def test_a_batch_whose_response_was_lost_counts_once_when_it_comes_again(receiver: HttpReceiver) -> None:
    receiver.behave("drop")
    batch = _batch(1, 100)
    assert "the connection broke before the answer" in str(_failed_then_delivered(receiver, batch))
    assert receiver.arrived() == _lines(batch)


@pytest.mark.parametrize("behaviour", ["busy", "redirect", "hang", "drop"])
def test_whatever_the_receiver_does_to_an_attempt_each_event_arrives_once(
    receiver: HttpReceiver, behaviour: str
) -> None:
    receiver.behave("take", behaviour)
    first, second, third = _batch(1, 10), _batch(11, 12), _batch(13, 20)
    _deliver(first, **_settings(receiver))
    _failed_then_delivered(receiver, second)
    _deliver(third, **_settings(receiver))
    assert receiver.arrived() == _lines(first) + _lines(second) + _lines(third)


def _failed_then_delivered(receiver: HttpReceiver, batch: Batch) -> SinkError:
    """What a shipper does, with one sink: an attempt that fails, a close, and the same batch again."""

    async def act(sink: HttpSink) -> SinkError:
        await sink.open(LOG_ID, batch.first)
        with pytest.raises(SinkError) as caught:
            await sink.deliver(batch)
        await sink.close()
        await sink.open(LOG_ID, batch.first)
        await sink.deliver(batch)
        return caught.value

    error: SinkError = _with_sink(act, **(_settings(receiver) | {"timeout_seconds": 0.5}))
    return error


def test_a_receiver_that_is_killed_has_after_its_restart_all_that_it_confirmed(receiver: HttpReceiver) -> None:
    first, second = _batch(1, 10), _batch(11, 12)
    _deliver(first, **_settings(receiver))
    receiver.down()
    with pytest.raises(SinkError, match="can't connect"):
        _open(11, **_settings(receiver))
    receiver.up()
    assert _open(1, **_settings(receiver)) == 11
    _deliver(first, second, **_settings(receiver))
    assert receiver.arrived() == _lines(first) + _lines(second)


def test_a_poisoned_batch_is_refused_and_its_good_half_is_taken(receiver: HttpReceiver) -> None:
    good = _batch(1, 2)
    assert receiver.poison
    bad = Batch(LOG_ID, f"{LOG_ID}:3-3", (Part(1, 3, 3, receiver.poison),))
    with pytest.raises(BatchRefused, match="answered 400: poison is not taken"):
        _deliver(bad._replace(parts=good.parts + bad.parts), **_settings(receiver))
    _deliver(good, **_settings(receiver))
    with pytest.raises(BatchRefused):
        _deliver(bad, **_settings(receiver))
    assert receiver.arrived() == _lines(good)


_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def _against(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    act: Callable[[HttpSink], Awaitable[None]],
) -> None:
    """`act` on a sink whose receiver is these raw connections."""
    writers: list[asyncio.StreamWriter] = []

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await serve(reader, writer)

    listener = await asyncio.start_server(keep, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/"
    sink = HttpSink(HttpSinkSettings(url=url, compression="none"), "http")
    try:
        await sink.open(LOG_ID, 7)
        await act(sink)
    finally:
        await sink.close()
        listener.close()
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


async def _read_head(reader: asyncio.StreamReader) -> int:
    """Read the head of a request; returns the length of its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = re.findall(rb"(?i)content-length: (\d+)", head)
    return int(length)


@pytest.mark.parametrize("unasked", [_OK, b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"])
def test_an_answer_that_nobody_asked_for_is_not_that_of_the_next_batch(unasked: bytes) -> None:
    taken: list[bytes] = []
    pushed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(await reader.readexactly(await _read_head(reader)))
        writer.write(_OK)
        await writer.drain()
        await asyncio.sleep(0.05)  # else both come as one, which is an error of the first
        writer.write(unasked)
        await writer.drain()
        pushed.set()

    async def act(sink: HttpSink) -> None:
        await sink.deliver(BATCH)
        await pushed.wait()
        await asyncio.sleep(0.05)
        await sink.deliver(BATCH)

    asyncio.run(_against(serve, act))
    assert taken == [NDJSON, NDJSON]


def test_an_answer_to_a_part_of_a_batch_does_not_confirm_it() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read_head(reader)
        writer.write(_OK)
        await writer.drain()

    async def act(sink: HttpSink) -> None:
        long = Batch(LOG_ID, TOKEN, (Part(1, 7, 7, b'"%b"\n' % (b"a" * (16 << 20))),))
        with pytest.raises(SinkError, match="answered 200 before it had the whole batch"):
            await sink.deliver(long)

    asyncio.run(_against(serve, act))
