"""What the page sends: redrives, replays and requests by Try."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.chromium import NEEDS_CHROMIUM
from tests.collector.ops.console.page.page_answers import EVENT, LETTER, answers
from tests.collector.ops.console.page.page_in_browser import NODE, Console

pytestmark = NEEDS_CHROMIUM
_SENT = {"status": 200, "headers": {}, "body_text": "{}", "event_id": None, "took_ms": 4.0}


def _open(console: Console, path: str, **answered: Any) -> Page:
    """Open a view. `answered`: further answers by API, with _ for /."""
    console.answers |= answers("x") | {f"/api/{name.replace('_', '/')}": body for name, body in answered.items()}
    console.open(path)
    return console.page


def _posted(page: Page, path: str, button: str) -> dict[str, Any]:
    """The body that a click on a button posts."""
    with page.expect_request(f"**{path}") as asked:
        page.get_by_role("button", name=button).click()
    posted: dict[str, Any] = json.loads(asked.value.post_data or "")
    return posted


def test_a_redrive_names_events_and_shows_at_its_end_what_became_of_the_letters(console: Console) -> None:
    plan = answers("x")["/api/redrive/preview"] | {"letters": 3, "events": 92, "redriven_before": 1}
    job = answers("x")["/api/jobs"]["jobs"][0] | {"id": "j", "kind": "redrive"}
    page = _open(console, "/dead", redrive_preview=plan)
    page.get_by_role("button", name="Preview redrive").click()
    expect(page.get_by_role("status").filter(has_text="would pass now")).to_contain_text("2 letters, 92 events")
    expect(page.get_by_role("status").filter(has_text="redriven before")).to_be_visible()
    console.answers["/api/jobs"] = {"jobs": [job], "job": "j"}
    page.get_by_role("button", name="Redrive 92 events").click()
    expect(page.locator(".jobs")).to_contain_text("→ running")
    with page.expect_request(lambda request: "/api/dead?" in request.url):
        console.say("job", job | {"state": "done"})
    expect(page.locator(".jobs")).to_contain_text("✓ done")


def test_a_condition_of_a_replay_may_hold_spaces(console: Console) -> None:
    job = answers("x")["/api/jobs"]["jobs"][1]
    job["request"] |= {"sink": "x", "where": ["ec=home page", "ea=view"]}
    page = _open(console, "/replay", jobs={"jobs": [job]})
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_label("where")).to_have_value("ec=home page\nea=view")
    assert _posted(page, "/api/replay/preview", "Dry run")["where"] == ["ec=home page", "ea=view"]


def test_a_long_letter_is_a_draft_with_all_of_its_body(console: Console) -> None:
    body = {"ea": "x" * 30_000}
    letter = answers("x")[f"/api/dead/{LETTER}"] | {
        "sink": None,
        "encoding": "json",
        "body": '{"ea": "x',
        "truncated_at": 9,
    }
    page = _open(console, f"/try?letter={LETTER}", **{f"dead_{LETTER}": letter, f"dead_{LETTER}_raw": body})
    expect(page.get_by_label("body")).to_have_value(f'{{"ea": "{body["ea"]}"}}')
    expect(page.get_by_text("This is not JSON")).to_have_count(0)


@pytest.mark.parametrize(
    ("letter", "reason"),
    [
        ({"encoding": "base64", "body": "AAEC"}, "It is not text."),
        ({"encoding": "json", "body": '{"uid":"▒▒▒▒"}'}, "admin.redact hides a part of it."),
        ({"encoding": "utf-8", "body": "portal_id=1&prop_id=2&ea=view"}, "It was sent as a query or a form."),
        ({"encoding": "json", "body": "{}", "sink": "file"}, "only a sink refused it"),
    ],
)
def test_a_letter_that_would_become_another_event_is_no_draft(
    console: Console, letter: dict[str, Any], reason: str
) -> None:
    whole = answers("x")[f"/api/dead/{LETTER}"] | {"dialect": "event", "sink": None, **letter}
    page = _open(console, f"/try?letter={LETTER}", **{f"dead_{LETTER}": whole})
    expect(page.get_by_text(reason)).to_be_visible()
    expect(page.get_by_role("button", name="Send a real event")).to_have_count(0)


def test_a_letter_that_is_no_json_is_a_draft_to_mend(console: Console) -> None:
    letter = {"dialect": "event", "sink": None, "encoding": "utf-8", "body": '{"ea":"a=b",'}
    whole = answers("x")[f"/api/dead/{LETTER}"] | letter
    page = _open(console, f"/try?letter={LETTER}", **{f"dead_{LETTER}": whole})
    expect(page.get_by_label("body")).to_have_value('{"ea":"a=b",')


def test_try_shows_the_request_as_curl_and_the_events_that_it_became(console: Console) -> None:
    other = EVENT.replace("-7", "-8")
    page = _open(console, "/try", **{"try": _SENT | {"events": [EVENT, other], "curl": "curl -X POST 'http://x/'"}})
    page.get_by_role("button", name="Send a real event").click()
    expect(page.locator("h2.id")).to_have_text(EVENT)
    expect(page.get_by_role("link", name=other)).to_have_attribute("href", f"/event/{other}")
    page.get_by_text("the request as curl").click()
    expect(page.locator(".command pre")).to_have_text("curl -X POST 'http://x/'")


def test_try_takes_the_target_of_a_redirect(console: Console) -> None:
    node = NODE | {"dialects": [{"name": "event", "types": ["json", "redirect"]}]}
    page = _open(console, "/try?type=redirect", node=node, **{"try": _SENT})
    for typed in ("", "https://shop.example.com/x"):
        page.get_by_label("redirect to").fill(typed)
        posted = _posted(page, "/api/try", "Send a real event")
        assert posted.get("redirect_url", "") == typed
        assert posted["type"] == "redirect"
    expect(page.get_by_text("No event of it is in the log.")).to_be_visible()
