"""The endpoint: the order of the checks, and forms, keys and rates in it."""

import asyncio
import errno
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from collector.http.response import Pending, response_of
from collector.ingest.policy.redirect import Signer
from collector.ingest.request import EventRequest
from collector.settings import Limits, PropertySettings
from tests.collector.live_intake import SECRET, Got, Logs, ask, endpoint, head_for, live_intake
from tests.wal.faulty_files import FaultyFiles

PAIR = "portal_id=1&prop_id=2&resp_type=json"
FORM = "application/x-www-form-urlencoded"
WEB = PropertySettings(
    1, 2, required=("ea",), origins=("https://shop.example.com",), redirect_hosts=("shop.example.com",)
)
KEYED = PropertySettings(1, 2, required=("ea",), write_keys=("env:OLD_KEY", "env:NEW_KEY"))
Ask = Callable[..., Awaitable[Got]]


def _serve(
    folder: Path,
    use: Callable[[Logs, Ask], Awaitable[None]],
    prop: PropertySettings = WEB,
    limits: Limits | None = None,
) -> None:
    """Use an endpoint for one property; its `ask` takes method, query, body and headers."""

    async def run() -> None:
        async with live_intake(folder, limits) as logs:
            served = endpoint(logs, prop, limits=limits)
            await use(logs, lambda *request, **headers: ask(served, *request, **headers))

    asyncio.run(run())


# Forms and queries


def test_a_form_is_an_event_with_warnings_about_repeated_fields(tmp_path: Path) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        form = b"ea=view&dims=%7B%22a%22%3A1%7D&sid=7&ea=again"
        assert (await ask("POST", PAIR, form, content_type=FORM)).status == 200
        (record,) = logs.stored
        assert record["event"] == {"ea": "view", "dims": {"a": 1}, "sid": 7}
        assert record["warnings"] == ["only the first ea of the query was read"]

    _serve(tmp_path, use)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_without_a_body_carries_its_event_in_the_query(tmp_path: Path, method: str) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        assert (await ask(method, PAIR + "&ea=view&et=now")).status == 200
        assert [record["event"] for record in logs.stored] == [{"ea": "view", "et": "now"}]

    _serve(tmp_path, use)


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b'{"ea":"a&b","x":"%41+"}', [{"ea": "a&b", "x": "%41+"}]),
        (b'[{"ea":"a"},{"ea":"b"}]', [{"ea": "a"}, {"ea": "b"}]),
    ],
)
def test_a_form_that_begins_as_json_is_json(tmp_path: Path, body: bytes, events: list[object]) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        assert (await ask("POST", PAIR, body, content_type=FORM)).status == 200
        assert [record["event"] for record in logs.stored] == events
        assert (await ask("POST", PAIR, b'{"ea":', content_type=FORM)).status == 400
        assert [letter["form"] for letter in logs.dead] == ["json"]

    _serve(tmp_path, use)


def test_a_form_of_too_many_fields_is_refused_and_kept_whole(tmp_path: Path) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        form = b"ea=view&" + b"&".join(b"f%d=1" % number for number in range(1000))
        assert (await ask("POST", PAIR, form, content_type=FORM)).status == 400
        assert (await ask("POST", PAIR, form[: form.rindex(b"&")], content_type=FORM)).status == 200
        assert [(letter["raw"].encode(), letter["form"]) for letter in logs.dead] == [(form, "form")]

    _serve(tmp_path, use)


def test_a_form_that_is_too_long_for_an_event_is_not_read(tmp_path: Path) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        fits = b"ea=" + b"%41" * 255 + b"&x=" + b"%41" * 1500
        assert (await ask("POST", PAIR, fits, content_type=FORM)).status == 200
        assert (await ask("POST", PAIR, b"ea=" + b"\xff" * 6142, content_type=FORM)).status == 413

    _serve(tmp_path, use, limits=Limits(event_bytes=2048))


def test_a_dead_letter_of_a_query_carries_no_token_and_no_signature(tmp_path: Path) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        assert (await ask("GET", PAIR + "&ec=x&an_session=secret&an%5Fsession=secret&redirect_sig=s")).status == 400
        assert [letter["raw"] for letter in logs.dead] == [PAIR + "&ec=x"]

    _serve(tmp_path, use)


def test_a_dead_letter_of_a_form_carries_no_token_and_no_signature(tmp_path: Path) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        form = b"ec=x&an_session=secret&an%5Fsession=secret&redirect_sig=s"
        assert (await ask("POST", PAIR, form, content_type=FORM)).status == 400
        assert [letter["raw"] for letter in logs.dead] == ["ec=x"]

    _serve(tmp_path, use)


# Keys and rates


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"authorization": "Bearer old-old-old-old-old"}, 200),
        ({"authorization": "bearer  new-new-new-new-new "}, 200),
        ({"x_write_key": "new-new-new-new-new"}, 200),
        ({"x_write_key": "old-old-old-old-oldx"}, 403),
        ({"authorization": "Basic old-old-old-old-old"}, 403),
        ({"authorization": "old-old-old-old-old"}, 403),
        ({"authorization": "Bearer "}, 403),
        ({"authorization": "Bearer wrong", "x_write_key": "new-new-new-new-new"}, 403),
    ],
)
def test_a_property_with_write_keys_requires_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], status: int
) -> None:
    monkeypatch.setenv("OLD_KEY", "old-old-old-old-old")
    monkeypatch.setenv("NEW_KEY", "new-new-new-new-new")

    async def use(logs: Logs, ask: Ask) -> None:
        assert (await ask("POST", PAIR, b'{"ea":"view"}', **headers)).status == status
        assert len(logs.stored) == (status == 200)
        assert (await ask("OPTIONS", PAIR, origin="https://a.example")).status == 204, "a preflight carries no key"

    _serve(tmp_path, use, KEYED)


def test_a_property_over_its_rate_gets_429_with_retry_after(tmp_path: Path) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        statuses = []
        for _ in range(3):
            answer = await ask("POST", PAIR, b'{"ea":"a"}')
            statuses.append(answer.status)
        assert statuses == [200, 429, 429]
        assert int(dict(answer.headers)[b"retry-after"]) >= 1
        assert len(logs.stored) == 1

    _serve(tmp_path, use, PropertySettings(1, 2, required=("ea",), events_per_second=0.001))


# The order of the checks


@pytest.mark.parametrize(
    ("method", "query", "headers", "status"),
    [
        ("DELETE", PAIR, {}, 405),
        ("DELETE", "", {}, 405),
        ("GET", "portal_id=1&prop_id=3", {}, 404),
        ("GET", "portal_id=x&prop_id=2", {}, 400),
        ("GET", "portal_id=1&prop_id=3&x=" + "y" * 2000, {}, 414),
        ("GET", PAIR + "&ea=view", {"origin": "https://evil.example.net"}, 403),
        ("GET", PAIR, {"origin": "https://evil.example.net"}, 403),
        ("OPTIONS", PAIR, {"origin": "https://evil.example.net"}, 403),
        ("OPTIONS", "portal_id=1&prop_id=3", {"origin": "https://shop.example.com"}, 404),
        ("GET", PAIR + "&ea=view", {"content_type": "application/xml"}, 200),
    ],
)
def test_the_response_is_for_the_first_failed_check(
    tmp_path: Path, method: str, query: str, headers: dict[str, str], status: int
) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        assert (await ask(method, query, **headers)).status == status
        assert len(logs.stored) == (status == 200)

    _serve(tmp_path, use, limits=Limits(url_bytes=1024))


@pytest.mark.parametrize(
    ("method", "headers", "body", "status"),
    [
        ("POST", {}, b'{"ea":"click"}', 302),
        ("POST", {}, b'{"ec":"click"}', 302),
        ("POST", {}, b"{", 302),
        ("POST", {"content_type": "application/xml"}, b"<click/>", 302),
        ("POST", {"content_encoding": "br"}, b"{}", 302),
        ("POST", {}, b'{"ea":"view"}', 400),
        ("DELETE", {}, b"{}", 405),
        ("POST", {"origin": "https://evil.example.net"}, b"{}", 403),
    ],
)
def test_an_allowed_click_is_redirected_unless_it_is_not_a_click_or_forbidden(
    tmp_path: Path, method: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        query = "portal_id=1&prop_id=2&resp_type=redirect&redirect_url=https://shop.example.com/p"
        answer = await ask(method, query, body, **headers)
        assert answer.status == status
        assert dict(answer.headers).get(b"location") == (b"https://shop.example.com/p" if status == 302 else None)

    _serve(tmp_path, use)


@pytest.mark.parametrize("is_signed", [True, False])
def test_a_signed_click_is_redirected_to_an_unlisted_host(tmp_path: Path, is_signed: bool) -> None:
    url = "https://partner.example.net/p?a=b"
    signature = Signer(SECRET).sign(url if is_signed else url + "x", 1, 2)

    async def use(logs: Logs, ask: Ask) -> None:
        redirect = f"&resp_type=redirect&redirect_url={quote(url, safe='')}&redirect_sig={signature}"
        answer = await ask("GET", "portal_id=1&prop_id=2&ea=click" + redirect)
        assert answer.status == (302 if is_signed else 400)
        assert dict(answer.headers).get(b"location") == (url.encode() if is_signed else None)

    _serve(tmp_path, use)


def test_head_gets_the_response_of_get_and_stores_nothing(tmp_path: Path) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        for query in (PAIR + "&ea=view", PAIR + "&ec=x"):
            head, get = await ask("HEAD", query), await ask("GET", query)
            assert head.status == get.status
            assert dict(head.headers)[b"content-type"] == dict(get.headers)[b"content-type"]
        assert (len(logs.stored), len(logs.dead)) == (1, 1)

    _serve(tmp_path, use)


def test_a_session_continues_by_the_cookie_and_the_query_has_precedence(tmp_path: Path) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        first = dict((await ask("GET", PAIR + "&ea=view")).headers)[b"set-cookie"].decode().partition(";")[0]
        second = await ask("GET", PAIR + "&ea=view", cookie=f"a=1; {first}")
        token = json.loads(second.body)["an_session"]
        await ask("GET", f"{PAIR}&ea=view&an_session={token}", cookie=first)
        await ask("POST", f"{PAIR}&an_session={token}", b'{"ea":"view"}', cookie=first)
        await ask("GET", PAIR + "&ea=view", cookie=first, dnt="1")
        await ask("GET", PAIR + "&ea=view&an_session=undefined", cookie=first)
        assert [record["session"]["hits"] for record in logs.stored] == [1, 2, 3, 3, 1, 2]

    _serve(tmp_path, use)


# Pages of other sites


SCRIPT = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "script"}
OPEN = PropertySettings(1, 2, required=("ea",))


@pytest.mark.parametrize("face", ["javascript", "json"])
def test_a_script_tag_of_a_foreign_page_neither_reads_the_visitors_ids_nor_resets_them(
    tmp_path: Path, face: str
) -> None:
    query = f"portal_id=1&prop_id=2&resp_type={face}&ea=view"

    async def use(logs: Logs, ask: Ask) -> None:
        own = await ask("GET", query)
        cookie = dict(own.headers)[b"set-cookie"].decode().partition(";")[0]
        evil = {"cookie": cookie, "referer": "https://evil.example.net/", **SCRIPT}
        foreign = await ask("GET", query, **evil)
        assert foreign.status == 200
        assert b"set-cookie" not in dict(foreign.headers)
        known = logs.stored[0]["au_id"]
        assert known.encode() in own.body
        assert known.encode() not in foreign.body
        batch = await ask("POST", query, b'[{"ea":"view"}]', **evil)
        assert b"set-cookie" not in dict(batch.headers)
        assert [record["session"]["hits"] for record in logs.stored] == [1, 1, 1]
        assert len({record["au_id"] for record in logs.stored}) == 3

    _serve(tmp_path, use, OPEN)


def test_a_token_in_the_query_of_a_foreign_page_counts(tmp_path: Path) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        token = json.loads((await ask("GET", PAIR + "&ea=view")).body)["an_session"]
        answer = await ask("GET", f"{PAIR}&ea=view&an_session={token}", **SCRIPT)
        assert b"set-cookie" not in dict(answer.headers)
        assert [record["session"]["hits"] for record in logs.stored] == [1, 2]

    _serve(tmp_path, use, OPEN)


def test_a_pixel_on_a_foreign_page_continues_the_session_of_the_cookie(tmp_path: Path) -> None:
    query = "portal_id=1&prop_id=2&resp_type=pixel&ea=view"

    async def use(logs: Logs, ask: Ask) -> None:
        cookie = dict((await ask("GET", query)).headers)[b"set-cookie"].decode().partition(";")[0]
        assert cookie.startswith("an_session_1=")
        assert b"set-cookie" in dict((await ask("GET", query, cookie=cookie, **SCRIPT)).headers)
        assert [record["session"]["hits"] for record in logs.stored] == [1, 2]

    _serve(tmp_path, use, OPEN)


@pytest.mark.parametrize(
    ("face", "headers", "status"),
    [
        ("javascript", {"referer": "https://evil.example.net/"}, 403),
        ("javascript", {}, 403),
        ("pixel", {"referer": "https://evil.example.net/"}, 403),
        ("javascript", {"referer": "https://shop.example.com/p"}, 200),
        ("pixel", {"referer": "https://shop.example.com/p"}, 200),
        ("redirect", {"referer": "https://evil.example.net/"}, 403),
        ("redirect", {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}, 302),
        ("javascript", {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}, 403),
    ],
)
def test_a_property_with_origins_checks_the_referer_of_a_foreign_page_and_redirects_clicks(
    tmp_path: Path, face: str, headers: dict[str, str], status: int
) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        query = f"portal_id=1&prop_id=2&resp_type={face}&ea=click&redirect_url=https://shop.example.com/p"
        assert (await ask("GET", query, **(SCRIPT | headers))).status == status
        assert len(logs.stored) == (status != 403)

    _serve(tmp_path, use)


# Requests that wait for the disk


def test_the_body_of_a_batch_is_freed_while_its_events_wait_for_the_disk(tmp_path: Path) -> None:
    async def run() -> None:
        body = json.dumps([{"ea": "view", "uid": f"u-{number}"} for number in range(9)]).encode()
        async with live_intake(tmp_path) as logs:
            served = endpoint(logs, WEB)
            request = served.admit(head_for("POST", PAIR, body))
            assert isinstance(request, EventRequest)
            held = sys.getrefcount(body)
            request.body = body
            pending = served.take(request)
            assert isinstance(pending, Pending)
            assert (pending.until.done(), logs.committer.next_sequence) == (False, 10)
            assert sys.getrefcount(body) == held
            assert (await response_of(pending)).status == 200

    asyncio.run(run())


@pytest.mark.parametrize(("face", "status"), [("json", 503), ("redirect", 302)])
def test_a_failed_block_refuses_all_requests_that_wait_for_it(tmp_path: Path, face: str, status: int) -> None:
    async def run() -> None:
        files = FaultyFiles()
        async with live_intake(tmp_path, files=files) as logs:
            served = endpoint(logs, WEB)
            files.fail("write", errno.ENOSPC)
            query = PAIR.replace("json", face) + "&redirect_url=https://shop.example.com/"
            answers = await asyncio.gather(*(ask(served, "POST", query, b'{"ea":"click"}') for _ in range(3)))
            assert {answer.status for answer in answers} == {status}
            assert not any(b"x-event-ack" in dict(answer.headers) for answer in answers)
            assert logs.stored == []

    asyncio.run(run())


# The process log


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("portal_id=7&prop_id=9", "events refused with 404, unknown property 7/9: 3"),
        (PAIR, "events refused with 403, wrong origin or write key for property 1/2: 3"),
        (f"{PAIR}&is_s2s=true", "events refused with 429, over the rate of property 1/2: 2"),
    ],
)
def test_a_refusal_that_operators_must_know_of_is_counted_for_the_process_log(
    tmp_path: Path, query: str, told: str
) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        for _ in range(3):
            await ask("POST", query, b'{"ea":"a"}', **({"origin": "https://evil.example"} if query == PAIR else {}))
        assert [str(event) for event in logs.notices.due(0)] == [told]

    origins = ("https://shop.example.com",)
    _serve(tmp_path, use, PropertySettings(1, 2, required=("ea",), origins=origins, events_per_second=0.001))


def test_shedding_is_logged_with_its_reason(tmp_path: Path) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        await logs.committer.close()
        for _ in range(3):
            assert (await ask("POST", PAIR, b'{"ea":"a"}')).status == 503
        (event,) = logs.notices.due(0)
        assert str(event).startswith("requests are shed with 503: 3 (")
        assert "stopping" in str(event)

    _serve(tmp_path, use, PropertySettings(1, 2, required=("ea",)))


def test_a_click_whose_event_is_not_stored_is_counted(tmp_path: Path) -> None:
    async def use(logs: Logs, ask: Ask) -> None:
        to = "&resp_type=redirect&redirect_url=https%3A%2F%2Fshop.example.com%2F"
        assert (await ask("GET", f"portal_id=1&prop_id=2{to}&ec=click")).status == 302
        (event,) = logs.notices.due(0)
        assert str(event) == "clicks redirected without storing their events, of property 1/2: 1"

    _serve(tmp_path, use, PropertySettings(1, 2, required=("ea",), redirect_hosts=("shop.example.com",)))
