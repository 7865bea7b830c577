"""What the views say of a node that is not quite well, or not quite known."""

import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.chromium import NEEDS_CHROMIUM
from tests.collector.ops.console.page.page_answers import LETTER, NOW_MS, answers, sample
from tests.collector.ops.console.page.page_in_browser import NODE, ORIGIN, Console

pytestmark = NEEDS_CHROMIUM
_DAY_MS = 86_400_000


def _open(console: Console, path: str, **changes: dict[str, Any]) -> Page:
    """Open a view. `changes`: members of the answer of that API, with _ for /."""
    console.answers |= answers("x")
    for name, members in changes.items():
        console.answers[f"/api/{name.replace('_', '/')}"] |= members
    console.open(path)
    return console.page


@pytest.mark.parametrize(
    ("disk", "text"),
    [
        ({"full_in_s": 777_600}, "9 d"),
        ({"full_in_s": None}, "not in sight"),
        ({"full_in_s": None, "full_state": "unknown"}, "\u2013"),
        ({"full_in_s": None, "full_state": "level"}, "not in sight"),
        ({"full_in_s": 777_600, "full_state": "filling"}, "9 d"),
        ({"full_in_s": 0, "full_state": "full"}, "full"),
    ],
)
def test_now_says_when_the_disk_will_be_full(console: Console, disk: dict[str, Any], text: str) -> None:
    page = _open(console, "/now")
    console.say("now", sample("x") | {"disk": {"free": 1e11, "total": 2e11, **disk}})
    expect(page.locator(".tiles > div", has_text="disk full in").locator("dd")).to_have_text(text)


def test_now_says_that_its_samples_are_old_though_messages_come(console: Console) -> None:
    page = _open(console, "/now")
    console.say("now", sample("x") | {"age_ms": 61_000})
    expect(page.locator(".banner")).to_contain_text("The admin process is silent: no news for 1 min")


def test_now_says_that_nothing_is_left_in_a_shard_that_no_worker_holds(console: Console) -> None:
    page = _open(console, "/now")
    (sink,) = sample("x")["sinks"]
    shipped = sink | {"shard": "redrive", "state": "not running", "lag_events": 0}
    console.say("now", sample("x") | {"sinks": [shipped]})
    expect(page.get_by_role("row", name="shard redrive")).to_contain_text("● nothing left")


def test_properties_are_read_again_after_an_error_and_after_each_greeting(console: Console) -> None:
    console.answers |= answers("x") | {"/api/node": (500, {"code": "x", "message": "no node"})}
    console.open("/try")
    page = console.page
    expect(page.get_by_role("alert")).to_contain_text("no node")
    console.answers["/api/node"] = NODE
    page.get_by_role("alert").get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_label("property")).to_have_value("1/2")
    console.answers["/api/node"] = NODE | {"properties": [{"property": "7/8", "id": "new", "source": "web"}]}
    console.greet()
    expect(page.get_by_label("property")).to_have_value("7/8")


def test_times_are_by_the_clock_of_the_node(console: Console) -> None:
    queries: list[str] = []
    console.page.on("request", lambda request: queries.append(request.url) if "/reasons?" in request.url else None)
    console.answers |= answers("x")
    console.page.goto(f"{ORIGIN}/dead")
    console.queries(1)
    with console.page.expect_request(lambda request: "/reasons?" in request.url and len(queries) > 1):
        console.greet(2 * _DAY_MS)
    since = int(queries[-1].partition("since=")[2])
    assert abs(since - (time.time() * 1000 + _DAY_MS)) < 60_000
    console.page.get_by_role("link", name="Accounts").click()
    yesterday = console.page.get_by_label("day (UTC)").locator("option", has_text="yesterday")
    expect(yesterday).to_have_attribute("value", time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86_400)))


def test_accounts_say_what_is_not_whole_and_since_when(console: Console) -> None:
    page = _open(console, "/accounts", accounts={"is_reading": True, "stored_unknown_before_ms": NOW_MS})
    expect(page.get_by_text("The log is being read")).to_be_visible()
    expect(page.get_by_text("what was stored before 2025-11-28 14:02:11.204 UTC is unknown")).to_be_visible()


def test_accounts_are_read_again_and_say_as_of_when(console: Console) -> None:
    console.page.clock.install()
    page = _open(console, "/accounts")
    expect(page.get_by_text("as of")).to_be_visible()
    row = answers("x")["/api/accounts"]["rows"][0] | {"received": 4321, "redriven": 77, "delivered": None}
    console.answers["/api/accounts"]["rows"] = [row]
    page.clock.fast_forward(5000)
    expect(page.get_by_role("cell", name="4,321")).to_be_visible()
    expect(page.get_by_role("cell", name="77", exact=True)).to_be_visible()


def test_settings_are_proposed_only_for_what_can_be_a_property(console: Console) -> None:
    names = ("5/6", "5/x", '5/6"\nx=1')
    unknown = [{"property": name, "requests": 1, "first_ms": NOW_MS} for name in names]
    page = _open(console, "/accounts", accounts={"unknown": unknown})
    page.get_by_text("how", exact=True).click()
    settings = '[[property]]\nportal_id = 5\nprop_id = 6\nsource = "web"'
    expect(page.locator("pre", has_text="portal_id")).to_have_text(settings)


@pytest.mark.parametrize("error", [None, "the head is damaged"])
def test_the_log_says_how_to_check_the_files_of_a_shard(console: Console, error: str | None) -> None:
    shard = answers("x")["/api/shards"]["shards"][0] | {"path": "/data/00", "error": error}
    page = _open(console, "/log/00", shards={"shards": [shard]})
    expect(page.locator(".command pre")).to_have_text("wal verify /data/00")
    del shard["path"]
    console.answers["/api/shards"] = {"shards": [shard]}
    page.reload()
    expect(page.locator(".note.bad")).to_be_visible()
    expect(page.get_by_text("undefined")).to_have_count(0)


def test_dead_letters_that_are_not_all_counted_are_not_called_none(console: Console) -> None:
    partial = {"reasons": [], "letters": 0, "back_to_ms": NOW_MS}
    page = _open(console, "/dead", dead_reasons=partial)
    expect(page.get_by_text("the numbers are of those since 2025-11-28")).to_be_visible()
    expect(page.get_by_text("no dead letter in")).to_have_count(0)
    expect(page.get_by_role("button", name="Preview redrive of 0 or more")).to_be_visible()


def test_bytes_that_are_no_text_are_not_continued_as_text(console: Console) -> None:
    letter = {"encoding": "base64", "body": "AAECAw==", "truncated_at": 20480, "bytes": 50_000}
    page = _open(console, f"/dead/{LETTER}", **{f"dead_{LETTER}": letter})
    expect(page.get_by_text("AAECAw==")).to_be_visible()
    expect(page.get_by_text("at most 20 KB are shown, as base64")).to_be_visible()
    expect(page.get_by_role("button", name="next 20 KB")).to_have_count(0)
