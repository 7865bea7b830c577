"""A page in real headless Chromium that sends to a collector on another origin, in every way that pages do."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.browser.demo import IN_CHROMIUM
from tests.browser.site import Site, Tls, site
from tests.chromium import NO_SANDBOX, PROGRAM, WHOLE
from tests.running import eventually

EVENT = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
FIELDS = {"ea": "view", "ec": "product", "sid": "1", "aid": "a", "uid": "u"}
FETCH = """async ([url, event]) => {
    const headers = {'content-type': 'application/json'};
    const answer = await fetch(url, {method: 'POST', credentials: 'include', headers, body: JSON.stringify(event)});
    return {status: answer.status, ack: answer.headers.get('x-event-ack'), body: await answer.json()};
}"""
BEACON = "([url, event]) => navigator.sendBeacon(url, JSON.stringify(event))"
PIXEL = """url => new Promise(done => {
    const image = new Image();
    image.onload = () => done([image.naturalWidth, image.naturalHeight]);
    image.onerror = () => done(null);
    image.src = url;
})"""
SCRIPT = """url => new Promise((done, failed) => {
    window._event_callback_data = done;
    const script = document.createElement('script');
    script.onerror = failed;
    script.src = url;
    document.head.append(script);
})"""
BLIND_FETCH = "([url, event]) => fetch(url, {method: 'POST', mode: 'no-cors', body: JSON.stringify(event)})"
LINK = """url => {
    const link = document.createElement('a');
    link.href = url;
    link.id = 'out';
    link.textContent = 'out';
    document.body.append(link);
}"""

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed; on Debian: apt-get install openssl"
)
pytestmark = IN_CHROMIUM


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=PROGRAM, args=[NO_SANDBOX])
    yield browser
    browser.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as found:
        yield found


def _open(context: BrowserContext, where: Site, errors: list[str] | None = None) -> Page:
    page = context.new_page()
    if errors is not None:
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{where.page}/")
    return page


def _fetch(page: Page, where: Site) -> dict[str, Any]:
    answer: dict[str, Any] = page.evaluate(FETCH, [where.event("json"), EVENT])
    return answer


def _session(body: dict[str, Any]) -> tuple[int, int]:
    """Hits, and whether this one opened the session."""
    _, hits, new = body["dgs"].split("%3A")
    return int(hits), int(new)


def _use_all(page: Page, where: Site) -> list[tuple[int, int]]:
    """One event in each way: fetch, beacon, image, script, link; returns the session as fetch and script read it."""
    fetched = _fetch(page, where)
    assert fetched["status"] == 200
    _send_beacon(page, where)
    assert page.evaluate(PIXEL, where.event("pixel", **FIELDS)) == [1, 1]
    called_back = page.evaluate(SCRIPT, where.event("javascript", **FIELDS))
    target = f"{where.page}/landing"
    page.evaluate(LINK, where.event("redirect", **(FIELDS | {"ea": "click"}), redirect_url=target))
    page.click("#out")
    page.wait_for_url(target)
    return [_session(fetched["body"]), _session(called_back)]


def _send_beacon(page: Page, where: Site) -> None:
    """Return once it is stored and the browser, if it keeps cookies, has the next one: a page never hears of it."""
    before = page.context.cookies(where.collector)
    assert page.evaluate(BEACON, [where.event("json"), EVENT])
    eventually(lambda: len(where.stored()) == 2, "the beacon is stored")
    if before:
        eventually(lambda: page.context.cookies(where.collector) != before, "the beacon's cookie is kept")


def test_the_session_goes_on_by_cookie_over_fetch_beacon_pixel_script_and_click(browser: Browser, shop: Site) -> None:
    errors: list[str] = []
    with browser.new_context() as context:
        page = _open(context, shop, errors)
        assert _use_all(page, shop) == [(1, 1), (4, 0)]
        answer = _fetch(page, shop)
    assert (answer["ack"], _session(answer["body"])) == ("fsync", (6, 0))
    assert shop.hits() == [1, 2, 3, 4, 5, 6]
    assert len({record["client_id"] for record in shop.stored()}) == 1
    assert [record["event"]["ea"] for record in shop.stored()] == ["view"] * 4 + ["click", "view"]
    assert errors == []


def test_the_callback_of_a_script_gets_the_answer(browser: Browser, shop: Site) -> None:
    with browser.new_context() as context:
        page = _open(context, shop)
        answers = [page.evaluate(SCRIPT, shop.event("javascript", **FIELDS)) for _ in range(3)]
    assert [_session(answer) for answer in answers] == [(1, 1), (2, 0), (3, 0)]
    assert [answer["n_client_id"] for answer in answers] == [1, 0, 0]


def test_no_field_runs_as_script(browser: Browser, shop: Site) -> None:
    evil = "%3C/script%3E%3Cscript%3Ewindow.evil=1%3C/script%3E%22%27%5C%E2%80%A8"
    with browser.new_context() as context:
        page = _open(context, shop)
        answer = page.evaluate(SCRIPT, shop.event("javascript", **(FIELDS | {"aid": evil})))
        assert answer["aid"] == "</script><script>window.evil=1</script>\"'\\\u2028"
        assert page.evaluate("window.evil") is None


def test_a_session_ends_30_minutes_after_its_last_hit(browser: Browser, shop: Site) -> None:
    with browser.new_context() as context:
        page = _open(context, shop)
        seen = []
        for minutes in (0, 29, 29, 31, 1):
            shop.clock.minutes += minutes
            seen.append(_fetch(page, shop)["body"])
    assert [_session(body) for body in seen] == [(1, 1), (2, 0), (3, 0), (1, 1), (2, 0)]
    assert [body["n_client_id"] for body in seen] == [1, 0, 0, 0, 0]
    assert len({body["client_id"] for body in seen}) == 1


@pytest.mark.parametrize("header", ["Sec-GPC", "DNT"])
def test_who_asks_not_to_be_tracked_has_no_cookie_and_no_session(browser: Browser, shop: Site, header: str) -> None:
    errors: list[str] = []
    with browser.new_context(extra_http_headers={header: "1"}) as context:
        page = _open(context, shop, errors)
        assert _use_all(page, shop) == [(1, 1), (1, 1)]
        assert context.cookies(shop.collector) == []
    assert shop.hits() == [1, 1, 1, 1, 1]
    assert errors == []


def test_a_cookie_of_before_is_not_read_once_the_visitor_asks_not_to_be_tracked(browser: Browser, shop: Site) -> None:
    with browser.new_context() as context:
        page = _open(context, shop)
        _fetch(page, shop)
        before = context.cookies(shop.collector)
        context.set_extra_http_headers({"Sec-GPC": "1"})
        untracked = [_fetch(page, shop)["body"] for _ in range(2)]
        assert context.cookies(shop.collector) == before
    assert [(_session(body), body["n_client_id"]) for body in untracked] == [((1, 1), 1)] * 2


def test_the_cookie_is_out_of_reach_of_scripts(browser: Browser, shop: Site) -> None:
    with browser.new_context() as context:
        page = _open(context, shop)
        _fetch(page, shop)
        assert page.evaluate("document.cookie") == ""
        (cookie,) = context.cookies(shop.collector)
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (
        "an_session_33167",
        True,
        "Lax",
        False,
    )


def test_a_page_that_is_not_listed_gets_403_and_nothing_is_stored(browser: Browser, shop: Site) -> None:
    with browser.new_context() as context:
        page = _open_unlisted(context, shop)
        for script in (BLIND_FETCH, BEACON):
            with page.expect_response(f"{shop.collector}/**") as refused:
                page.evaluate(f"arguments => void ({script})(arguments)", [shop.event("json"), EVENT])
            assert (refused.value.request.method, refused.value.status) == ("POST", 403)
        assert context.cookies(shop.collector) == []
    assert shop.stored() == []


def test_a_page_that_is_not_listed_reads_no_answer(browser: Browser, shop: Site) -> None:
    with browser.new_context() as context:
        page = _open_unlisted(context, shop)
        assert page.evaluate(f"arguments => ({FETCH})(arguments).catch(String)", [shop.event("json"), EVENT]) == (
            "TypeError: Failed to fetch"
        )
    assert shop.stored() == []


def test_a_page_that_is_not_listed_is_known_by_the_referer_of_its_images(browser: Browser, shop: Site) -> None:
    """A browser names no origin with an image."""
    with browser.new_context() as context:
        page = _open_unlisted(context, shop)
        with page.expect_response(f"{shop.collector}/**") as refused:
            page.evaluate(f"url => void ({PIXEL})(url)", shop.event("pixel", **FIELDS))
        assert refused.value.status == 403
    assert shop.stored() == []


def test_a_page_that_is_not_listed_is_known_by_the_referer_of_its_scripts(browser: Browser, shop: Site) -> None:
    """Nor with a script; that the refusal is JSON has the browser withhold it from the page, status and all."""
    with browser.new_context() as context:
        page = _open_unlisted(context, shop)
        with page.expect_event("requestfailed") as refused:
            page.evaluate(f"url => void ({SCRIPT})(url)", shop.event("javascript", **FIELDS))
        assert refused.value.url.startswith(shop.collector)
        assert context.cookies(shop.collector) == []
    assert shop.stored() == []


def test_a_click_on_a_page_that_is_not_listed_leads_on(browser: Browser, shop: Site) -> None:
    target = f"{shop.page}/landing"
    with browser.new_context() as context:
        page = _open_unlisted(context, shop)
        page.evaluate(LINK, shop.event("redirect", **(FIELDS | {"ea": "click"}), redirect_url=target))
        page.click("#out")
        page.wait_for_url(target)
    assert shop.hits() == [1]


@needs_openssl
@pytest.mark.parametrize("tls", ["own", "trusted proxy"])
def test_over_https_the_session_goes_on_across_sites(playwright: Playwright, tmp_path: Path, tls: Tls) -> None:
    errors: list[str] = []
    with site(tmp_path, tls) as where, _lenient_profile(playwright, tmp_path) as context:
        page = _open(context, where, errors)
        assert _use_all(page, where) == [(1, 1), (4, 0)]
        (cookie,) = context.cookies(where.collector)
        assert (cookie["sameSite"], cookie["secure"], cookie["httpOnly"]) == ("None", True, True)
    assert where.hits() == [1, 2, 3, 4, 5]
    assert errors == []


@needs_openssl
def test_a_proxy_that_is_not_trusted_is_not_believed_to_speak_https(playwright: Playwright, tmp_path: Path) -> None:
    """The cookie is Lax, which a browser takes from another site only with the click that leads there."""
    with site(tmp_path, "unknown proxy") as where, _lenient_profile(playwright, tmp_path) as context:
        page = _open(context, where)
        assert _use_all(page, where) == [(1, 1), (1, 1)]
        (cookie,) = context.cookies(where.collector)
        assert (cookie["sameSite"], cookie["secure"]) == ("Lax", False)
    assert where.hits() == [1, 1, 1, 1, 1]


def _open_unlisted(context: BrowserContext, where: Site) -> Page:
    """The same page under another name, which makes it another origin."""
    page = context.new_page()
    page.goto(where.page.replace("127.0.0.1", "localhost") + "/")
    return page


@contextmanager
def _lenient_profile(playwright: Playwright, folder: Path) -> Iterator[BrowserContext]:
    """A browser whose owner lets sites of others have cookies; Chromium's own default is to block them."""
    preferences = folder / "profile/Default/Preferences"
    preferences.parent.mkdir(parents=True)
    preferences.write_text('{"profile": {"cookie_controls_mode": 0}}')
    with playwright.chromium.launch_persistent_context(
        folder / "profile", executable_path=WHOLE, args=[NO_SANDBOX], ignore_https_errors=True
    ) as context:
        yield context
