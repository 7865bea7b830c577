"""The console of a running collector with a token, by real sockets: raw paths, many connections at once, and Try."""

import json
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, IncompleteRead
from typing import Any

import pytest

from tests.running import PATIENCE_SECONDS, WRITE_KEYS, Collector, Response, eventually, running

_TOKEN = "a-token-that-is-long-enough"
_SETTINGS = """
[server]
port = {port}
workers = {workers}
[admin]
port = 0
token = "env:TRACKLOG_TEST_ADMIN"
allow_actions = true
[[property]]
portal_id = 33167
prop_id = 1
origins = ["https://shop.example.com"]
redirect_hosts = ["*.example.com"]
[[property]]
portal_id = 33167
prop_id = 2
id = "app"
write_keys = ["env:TRACKLOG_TEST_KEY_A"]
[[sink]]
type = "file"
dir = "data/events"
"""
_EVENT = '{"ea":"view","ec":"product","sid":1,"aid":"a","uid":"u"}'


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """One worker and an admin process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKLOG_TEST_ADMIN", _TOKEN)
        with running(tmp_path_factory.mktemp("console"), 1, _SETTINGS) as collector:
            yield collector


def _ask(
    collector: Collector, method: str, path: str, body: object = None, address: str = "127.0.0.1", **headers: str
) -> Response:
    """The response to a request from an address of loopback."""
    source = address, 0
    connection = HTTPConnection("127.0.0.1", collector.admin_port, PATIENCE_SECONDS, source)
    try:
        text = None if body is None else json.dumps(body)
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in ({"content-type": "application/json"} | headers).items():
            connection.putheader(name, value)
        connection.putheader("content-length", str(len(text or "")))
        connection.endheaders((text or "").encode())
        response = connection.getresponse()
        return Response(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def _try(collector: Collector, body: str, **members: object) -> Response:
    wanted = {"property": "33167/1", "body": body, **members}
    return _ask(collector, "POST", "/api/try", wanted, authorization=f"Bearer {_TOKEN}")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../index.html",
        "/assets/%2e%2e/%2e%2e/app.py",
        "/assets/{folder}/../../app.py",
        "/assets/{folder}/%2e%2e%2f%2e%2e%2fapp.py",
        "/assets/{folder}/..%5c..%5capp.py",
        "/assets/{folder}/%252e%252e/app.py",
        "/assets/{folder}/console.css%00.html",
        "/assets/{folder}//etc/passwd",
        "/assets/{folder}/index.html",
        "/assets/0000000000000000/console.css",
        "//etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/live%00",
        "/live;a=b",
    ],
)
def test_no_path_leads_out_of_the_page(collector: Collector, path: str) -> None:
    folder = re.findall(r"/assets/([0-9a-f]+)/", _ask(collector, "GET", "/").body.decode())[0]
    path = path.format(folder=folder)
    assert _ask(collector, "GET", path).status == 401
    response = _ask(collector, "GET", path, authorization=f"Bearer {_TOKEN}")
    assert (response.status, response.json()["code"]) == (404, "not_found")


def test_escapes_in_a_path_change_nothing_about_who_may_use_it(collector: Collector) -> None:
    assert _ask(collector, "GET", "/%6cive").status == 200
    assert _ask(collector, "GET", "/%73tatus").status == 401
    assert _ask(collector, "GET", "/%61pi/try").status == 401
    assert _ask(collector, "GET", "/%61pi/session", origin="null").json()["code"] == "foreign_origin"
    assert _ask(collector, "GET", f"http://127.0.0.1:{collector.admin_port}/status").status == 401
    assert _ask(collector, "GET", "/api/session?" + "a" * 60_000).status == 200


def test_the_stream_shows_events_and_dead_letters_as_they_arrive(collector: Collector) -> None:
    assert _ask(collector, "GET", "/api/stream").status == 401
    connection = HTTPConnection("127.0.0.1", collector.admin_port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/api/stream?topics=live,now", headers={"authorization": f"Bearer {_TOKEN}"})
        stream = connection.getresponse()
        assert stream.headers["content-type"].startswith("text/event-stream")
        _try(collector, _EVENT.replace("view", "seen"))
        _try(collector, '{"ea":"refused","ec":7}')
        wanted = {("stored", "33167/1", "seen"), ("dead", "33167/1", "refused")}
        while wanted:
            line = stream.readline()
            assert line, "the stream has ended"
            if line.startswith(b"data: [["):
                wanted -= {(row[3], row[4], row[7]) for row in json.loads(line[len("data: ") :])}
    finally:
        connection.close()


def test_guesses_over_many_connections_get_five_tries(collector: Collector) -> None:
    guesses = [{"token": f"guess {number}"} for number in range(20)]
    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(lambda guess: _ask(collector, "POST", "/api/session", guess, "127.0.0.2").status, guesses)
        )
    assert Counter(answers) == {403: 5, 429: 15}


def test_an_event_that_is_tried_is_stored_and_the_action_is_logged(collector: Collector) -> None:
    answer = _try(collector, _EVENT).json()
    assert answer["status"] == 200
    assert answer["headers"]["content-type"] == "application/json"
    assert "set-cookie" not in answer["headers"]
    assert json.loads(answer["body_text"])
    assert answer["took_ms"] > 0
    assert answer["event_id"] in [record["id"] for record in collector.stored()]
    line = f"try by a holder of the token from 127.0.0.1: event to 33167/1: 200, {answer['event_id']}"
    eventually(lambda: line in collector.stderr, "the action is logged")


@pytest.mark.parametrize(
    ("members", "body", "status"),
    [
        ({}, "{", 400),
        ({}, '{"ea":"view"}', 400),
        ({"type": "pixel"}, _EVENT, 200),
        ({"type": "redirect"}, _EVENT.replace("view", "click"), 302),
        ({"property": "33167/2"}, _EVENT, 200),
        ({"property": "33167/2", "dialect": "segment"}, '{"type":"track","event":"e","userId":"u"}', 200),
        ({"property": "33167/2", "dialect": "posthog"}, '{"event":"e","distinct_id":"u"}', 200),
        ({"property": "33167/2", "dialect": "matomo"}, "rec=1&e_c=video&e_a=play&uid=u&url=https://a.example", 200),
        (
            {"property": "33167/2", "dialect": "cloudevents"},
            '{"specversion":"1.0","type":"e","source":"/s","id":"1","data":{"ea":"v","ec":"p","sid":1,"aid":"a","uid":"u"}}',
            200,
        ),
    ],
)
def test_every_dialect_and_response_type_can_be_tried(
    collector: Collector, members: dict[str, Any], body: str, status: int
) -> None:
    response = _try(collector, body, **members)
    answer = response.json()
    assert answer["status"] == status, response.body
    records = {record["id"]: record for record in collector.stored()}
    wanted = int(members.get("property", "1")[-1])
    assert [records[each]["prop_id"] for each in answer["events"]] == [wanted] * (status < 400), records
    assert answer["event_id"] == next(iter(answer["events"]), None)
    assert WRITE_KEYS["TRACKLOG_TEST_KEY_A"] not in response.body.decode()


def test_the_command_of_a_try_sends_the_same_again(collector: Collector) -> None:
    for members in (
        {"body": _EVENT.replace("view", "it's")},
        {
            "body": "rec=1&url=https://a.example&e_c=video&e_a=it's\\\u202e&uid=u",
            "dialect": "matomo",
            "property": "33167/2",
        },
    ):
        answer = _try(collector, **members).json()
        environment = {"PATH": os.environ["PATH"], **WRITE_KEYS}
        command = f"{answer['curl']} -o /dev/null -w '%{{http_code}}'"
        assert command.isascii()
        assert command.isprintable()
        done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, check=True)
        assert done.stdout == b"200"
        events = [record["event"] for record in collector.stored()]
        assert answer["events"] == [collector.stored()[-2]["id"]]
        assert events[-1]["ea"].startswith("it's")
        assert events[-1]["ea"] == events[-2]["ea"]
    assert '-H "x-write-key: $TRACKLOG_TEST_KEY_A"' in answer["curl"]
    assert _try(collector, "a\0").json()["curl"] is None


def test_a_redirect_leads_where_the_try_says(collector: Collector) -> None:
    body = _EVENT.replace("view", "click")
    answer = _try(collector, body, type="redirect", redirect_url="https://a.example.com/b?c=d&e").json()
    assert (answer["status"], answer["headers"]["location"]) == (302, "https://a.example.com/b?c=d&e")
    assert "redirect_url=https%3A%2F%2Fa.example.com%2Fb%3Fc%3Dd%26e" in answer["curl"]


def test_all_events_of_a_batch_are_told(collector: Collector) -> None:
    batch = '{"batch":[{"type":"track","event":"a","userId":"u"},{"type":"track","event":"b","userId":"u"}]}'
    answer = _try(collector, batch, property="33167/2", dialect="segment").json()
    assert answer["events"] == [record["id"] for record in collector.stored()][-2:]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"property": "33167/3"}, "bad_body"),
        ({"property": "http://evil.example/"}, "bad_body"),
        ({"dialect": "../status"}, "bad_body"),
        ({"type": "json&redirect_url=x"}, "bad_body"),
        ({"headers": {"x-forwarded-for": "1.2.3.4"}}, "bad_body"),
        ({"body": 7}, "bad_body"),
        ({"body": "x" * 300_000}, "too_large"),
    ],
)
def test_a_try_leads_nowhere_but_to_this_node(collector: Collector, members: dict[str, Any], code: str) -> None:
    assert _try(collector, **{"body": _EVENT} | members).json()["code"] == code


def test_a_try_of_the_longest_event_fits(collector: Collector) -> None:
    event = json.dumps(json.loads(_EVENT) | {"extra": {"text": '"\n' * 15_000}})
    assert _try(collector, event).json()["status"] == 200


def test_a_new_token_ends_streams_and_sessions(collector: Collector) -> None:
    settings = collector.folder / "collector.toml"
    before = settings.read_text()
    connection = HTTPConnection("127.0.0.1", collector.admin_port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/api/stream?topics=now", headers={"authorization": f"Bearer {_TOKEN}"})
        stream = connection.getresponse()
        assert stream.readline() == b"retry: 1000\n"
        settings.write_text(before.replace("TRACKLOG_TEST_ADMIN", "TRACKLOG_TEST_KEY_B"))
        collector.process.send_signal(signal.SIGHUP)
        with suppress(ConnectionError, IncompleteRead):
            while stream.readline():
                pass
        assert _ask(collector, "GET", "/status", authorization=f"Bearer {_TOKEN}").status == 401
        token = WRITE_KEYS["TRACKLOG_TEST_KEY_B"]
        assert _ask(collector, "GET", "/status", authorization=f"Bearer {token}").status == 200
    finally:
        connection.close()
        settings.write_text(before)
