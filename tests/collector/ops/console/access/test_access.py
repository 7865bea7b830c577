"""Who gets in at the admin address. The matrix lists what was tried against it."""

import asyncio
import json
import time
from typing import Any

import pytest
from starlette.types import ASGIApp, Message

from collector.ops.console.access.guard import HEADERS
from collector.ops.console.access.sessions import SESSION_SECONDS
from collector.settings import AdminSettings, PropertySettings, Settings
from tests.collector.ops.console.asking import OWN, PORT, admin_app, asked, scope_of
from tests.collector.ops.console.quick_loop import run_quickly
from tests.running import Response
from wal import __version__

_TOKEN = "a-token-that-is-long-enough"
_HOST = ("host", f"127.0.0.1:{PORT}")
_BEARER = ("authorization", f"Bearer {_TOKEN}")
_JSON = ("content-type", "application/json")
_SESSION = "/api/session"

Pairs = tuple[tuple[str, str], ...]


def _settings(**admin: object) -> Settings:
    made = AdminSettings(**{"hosts": ("tracklog.example.com",), **admin})  # type: ignore[arg-type]
    return Settings(admin=made, property=(PropertySettings(1, 2),))


@pytest.fixture(scope="module")
def app() -> ASGIApp:
    """Of a node on loopback that has no token and allows no action."""
    return admin_app(_settings())


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> ASGIApp:
    """Of a node with a token."""
    monkeypatch.setenv("TRACKLOG_TEST_ADMIN", _TOKEN)
    monkeypatch.setattr("collector.ops.console.app.load_page", lambda: {"index.html": b"the page"})
    return admin_app(_settings(token="env:TRACKLOG_TEST_ADMIN", redact=("uid",)))


def _log_in(app: ASGIApp, token: object = _TOKEN, headers: Pairs = OWN, address: str = "10.0.0.1") -> Response:
    body = json.dumps({"token": token}).encode()
    return asked(app, _SESSION, (*headers, _JSON), method="POST", body=body, address=address)


def _cookie(response: Response) -> tuple[str, str]:
    return "cookie", response.headers["set-cookie"].partition(";")[0]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        # DNS rebinding: a name leads here, and the browser takes its page for ours
        ("GET", "/live", (("host", "evil.example:8081"), ("sec-fetch-site", "same-origin")), 421),
        ("GET", "/api/session", (("host", "127.0.0.1.evil.example:8081"),), 421),
        ("GET", "/status", (("host", "localhost.evil.example"),), 421),
        ("GET", "/metrics", (("host", "evil.example"), _BEARER), 421),
        ("GET", "/nothing", (("host", "evil.example"),), 421),
        ("GET", "/livez/", (("host", "evil.example"),), 421),
        ("GET", "//livez", (("host", "evil.example"),), 421),
        ("GET", "/status", (), 421),
        ("GET", "/status", (_HOST, ("host", "evil.example")), 421),
        ("GET", "/livez", (("host", "evil.example"),), 200),
        ("GET", "/readyz", (("host", "evil.example"),), 200),
        ("GET", "/status", (("host", "tracklog.example.com"),), 200),
        ("GET", "/metrics", (_HOST,), 200),
        # pages of other origins, the ports of this host among them
        ("GET", _SESSION, (_HOST, ("sec-fetch-site", "cross-site")), 403),
        ("GET", _SESSION, (_HOST, ("sec-fetch-site", "same-site")), 403),
        ("GET", _SESSION, (_HOST, ("origin", "http://127.0.0.1:8080")), 403),
        ("GET", _SESSION, (_HOST, ("origin", "null")), 403),
        ("GET", "/api/try", (_HOST, ("origin", "null")), 403),
        ("GET", "/api", (_HOST, ("sec-fetch-site", "cross-site")), 403),
        ("POST", "/api/try", (_HOST, ("sec-fetch-site", "same-site"), _JSON), 403),
        ("POST", "/api/try", (_HOST, ("origin", "null"), ("content-type", "text/plain")), 403),
        ("POST", "/live", (_HOST, ("sec-fetch-site", "cross-site")), 403),
        ("DELETE", _SESSION, (_HOST, ("sec-fetch-site", "cross-site")), 403),
        ("OPTIONS", "/api/try", (_HOST, ("origin", "http://evil.example")), 403),
        ("GET", "/event/a-1", (_HOST, ("sec-fetch-site", "cross-site")), 200),  # a link in a chat
        # methods
        ("HEAD", "/live", OWN, 200),
        ("HEAD", _SESSION, OWN, 200),
        ("OPTIONS", "/api/try", OWN, 405),
        ("PUT", _SESSION, OWN, 405),
        ("TRACE", "/live", OWN, 405),
        ("GET", "/api/try", OWN, 405),
        ("POST", "/status", OWN, 405),
        # paths: no request reaches the file system
        ("GET", "/assets/../../app.py", OWN, 404),
        ("GET", "/assets/", OWN, 404),
        ("GET", "/index.html", OWN, 404),
        ("GET", "/live/", OWN, 404),
        ("GET", "/LIVE", OWN, 404),
        ("GET", "/event/a/b", OWN, 404),
        ("GET", "/live\x00", OWN, 404),
        ("GET", "/event/" + "a" * 60_000, OWN, 200),
        # actions are off, and no form of a page can make one
        ("POST", "/api/try", (*OWN, _JSON), 403),
        ("POST", _SESSION, OWN, 415),
        ("POST", _SESSION, (*OWN, ("content-type", "text/plain;application/json")), 415),
        ("POST", _SESSION, (*OWN, ("content-type", "application/json;charset=x")), 400),
    ],
)
def test_the_matrix_of_hosts_origins_methods_and_paths(
    app: ASGIApp, method: str, path: str, headers: Pairs, status: int
) -> None:
    response = asked(app, path, headers, method=method)
    assert response.status == status
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert not [name for name in response.headers if name.startswith("access-control-")]
    if status >= 400 and method != "HEAD":
        assert list(response.json()) == ["code", "message"]


def test_a_refused_host_is_told_with_the_setting_and_counted_in_the_process_log(
    app: ASGIApp, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):
        response = asked(app, "/metrics", (("host", "collector:8081"),))
    assert response.json() == {
        "code": "unknown_host",
        "message": "this node is not known as 'collector:8081': use its IP address, or add the name to admin.hosts",
    }
    (line,) = caplog.messages
    assert line == "requests to the admin address refused with 421, admin.hosts lacks the host collector:8081: 1"


@pytest.mark.parametrize(
    "path", ["/status", "/metrics", "/api/try", "/api/nothing", "/nothing", "/assets/x.js", "/api"]
)
def test_with_a_token_all_but_the_page_the_log_in_and_the_probes_needs_it(guarded: ASGIApp, path: str) -> None:
    assert asked(guarded, path).status == 401
    assert asked(guarded, path, (*OWN, ("authorization", f"Basic {_TOKEN}"))).status == 401
    assert asked(guarded, path, (*OWN, ("cookie", f"tracklog-session-{PORT}={_TOKEN}"))).status == 401
    assert asked(guarded, path, (*OWN, _BEARER)).status in (200, 404, 405)
    for open_path in ("/", "/live", "/event/a-1", "/log/00/1", _SESSION, "/livez"):
        assert asked(guarded, open_path).status == 200


def test_a_log_in_gives_a_cookie_that_counts_until_the_log_out(
    guarded: ASGIApp, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert asked(guarded, _SESSION).json() == {
        "needs_token": True, "logged_in": False, "actions": False, "redacted": [], "node": "", "version": "",
    }  # fmt: skip
    logged_in = _log_in(guarded)
    _, _, flags = logged_in.headers["set-cookie"].partition("; ")
    assert flags == "Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"
    cookie = _cookie(logged_in)
    state = asked(guarded, _SESSION, (*OWN, cookie)).json()
    assert (state["needs_token"], state["logged_in"]) == (False, True)
    assert (state["redacted"], state["version"]) == (["uid"], __version__)
    assert logged_in.json() == state
    assert asked(guarded, "/status", (*OWN, cookie)).status == 200
    out = asked(guarded, _SESSION, (*OWN, cookie), method="DELETE")
    assert (out.status, out.headers["set-cookie"].partition(";")[0]) == (204, f"tracklog-session-{PORT}=")
    assert asked(guarded, "/status", (*OWN, cookie)).status == 401
    assert caplog.messages == [f"log-in to the console from 10.0.0.1: session {cookie[1].split('.')[1]}"]


@pytest.mark.parametrize("end", ["log-out", "expiry"])
def test_a_stream_ends_with_its_session(guarded: ASGIApp, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    cookie = _cookie(_log_in(guarded))
    later = time.time_ns() + SESSION_SECONDS * 10**9
    sent: list[bytes] = []
    is_greeted = asyncio.Event()

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))
        if b"event: hello" in sent[-1]:
            is_greeted.set()

    async def never() -> Any:
        await asyncio.Event().wait()

    async def check() -> None:
        scope = scope_of("/api/stream?topics=now", (*OWN, cookie))
        stream = asyncio.ensure_future(guarded(scope, never, send))
        await is_greeted.wait()
        await asyncio.sleep(60)
        assert not stream.done()
        if end == "log-out":
            await guarded(scope_of(_SESSION, (*OWN, cookie), method="DELETE"), never, send)
        else:
            monkeypatch.setattr(time, "time_ns", lambda: later)
        await asyncio.wait_for(stream, 2)

    run_quickly(check())
    assert sent[-1].startswith(b"event: bye\n")


def test_behind_a_proxy_with_tls_the_cookie_is_secure(guarded: ASGIApp) -> None:
    headers = (("host", "tracklog.example.com"), ("origin", "https://tracklog.example.com"))
    assert _log_in(guarded, headers=headers).headers["set-cookie"].endswith("; SameSite=Strict; Secure")


def test_each_log_in_is_a_new_session_so_that_none_can_be_fixed(guarded: ASGIApp) -> None:
    first, second = _log_in(guarded), _log_in(guarded)
    planted = _log_in(guarded, headers=(*OWN, _cookie(first)))
    assert len({_cookie(each) for each in (first, second, planted)}) == 3


def test_an_unsafe_request_of_unknown_provenance_counts_without_its_cookie(guarded: ASGIApp) -> None:
    cookie = _cookie(_log_in(guarded))
    assert asked(guarded, "/api/try", (_HOST, cookie, _JSON), method="POST").json()["code"] == "unauthorized"
    assert asked(guarded, "/api/try", (*OWN, cookie, _JSON), method="POST").json()["code"] == "actions_off"
    assert asked(guarded, "/api/try", (_HOST, _BEARER, _JSON), method="POST").json()["code"] == "actions_off"
    assert asked(guarded, _SESSION, (_HOST, cookie), method="DELETE").status == 204
    assert asked(guarded, "/status", (_HOST, cookie)).status == 200, "that log-out has ended no session"


def test_after_five_wrong_tokens_even_the_right_one_waits(guarded: ASGIApp, caplog: pytest.LogCaptureFixture) -> None:
    cookie = _cookie(_log_in(guarded))
    answers = [_log_in(guarded, f"guess {number}") for number in range(7)]
    assert [each.status for each in answers] == [403] * 5 + [429] * 2
    assert answers[0].json()["code"] == "wrong_token"
    last = _log_in(guarded)
    assert (last.status, last.json()["code"]) == (429, "too_many_attempts")
    assert 1 <= int(last.headers["retry-after"]) <= 60
    assert _log_in(guarded, address="10.0.0.2").status == 200
    assert asked(guarded, "/status", (*OWN, cookie), address="10.0.0.1").status == 200, "sessions go on"
    assert asked(guarded, "/metrics", (*OWN, _BEARER), address="10.0.0.1").status == 429, "a program is no way around"
    assert caplog.messages[0] == "log-ins to the console refused, wrong token, from 10.0.0.1: 1"
    assert _TOKEN not in caplog.text


def test_wrong_tokens_of_programs_and_log_ins_count_together(guarded: ASGIApp) -> None:
    guesses = [(*OWN, ("authorization", f"Bearer guess {number}")) for number in range(3)]
    statuses = [asked(guarded, "/metrics", guess).status for guess in guesses]
    statuses += [_log_in(guarded, f"guess {number}", address="127.0.0.1").status for number in range(3, 6)]
    assert [*statuses, asked(guarded, "/metrics", guesses[0]).status] == [401] * 3 + [403] * 2 + [429] * 2
    assert asked(guarded, "/livez", guesses[0]).status == asked(guarded, _SESSION, guesses[0]).status == 200


def test_a_program_with_an_old_token_locks_nobody_out(guarded: ASGIApp) -> None:
    old = (*OWN, ("authorization", "Bearer of last week"))
    assert [asked(guarded, "/metrics", old).status for _ in range(20)] == [401] * 20
    assert asked(guarded, "/metrics", (*OWN, _BEARER)).status == 200


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "the body is not JSON"),
        (b"[]", 400, "expected `object`, got `array`"),
        (b'{"token":7}', 400, "token: expected `str`, got `int`"),
        (b'{"token":"\xff"}', 400, "the body is not JSON"),
        (b'{"token":"\\ud800"}', 400, "the body is not JSON"),
        (b'{"token":"a","admin":true}', 400, "Object contains unknown field `admin`"),
        (b'{"token":"%b"}' % (b"a" * 1025), 400, "token: expected `str` of length <= 1024"),
        (b'{"token":"%b"}' % (b"a" * 5000), 413, "expected a body of at most 4096 bytes"),
        (b"[" * 4000, 400, ""),
    ],
)
def test_a_log_in_that_is_none_is_told_what_is_wrong(guarded: ASGIApp, body: bytes, status: int, message: str) -> None:
    response = asked(guarded, _SESSION, (*OWN, _JSON), method="POST", body=body)
    assert response.status == status
    assert response.json()["message"].startswith(message)


def test_without_a_token_there_is_no_log_in(app: ASGIApp) -> None:
    state = asked(app, _SESSION).json()
    assert (state["needs_token"], state["logged_in"]) == (False, False)
    assert _log_in(app).json()["code"] == "not_found"
    assert asked(app, _SESSION, method="DELETE").status == 204


def test_a_bug_is_an_answer_with_all_headers_and_without_its_text(
    app: ASGIApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a secret")

    monkeypatch.setattr("collector.server.admin_app.render", broken)
    response = asked(app, "/metrics")
    assert (response.status, response.json()["code"]) == (500, "internal")
    assert b"a secret" not in response.body
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
