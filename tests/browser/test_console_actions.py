"""Redrive, replay and Try in the console of a real node, in real Chromium."""

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.browser.console import Tab, console_node, listed
from tests.browser.demo import IN_CHROMIUM
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, eventually

pytestmark = IN_CHROMIUM
_STRICT = '"ea", "ec", "sid"'


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with console_node(tmp_path_factory.mktemp("console")) as node:
        assert _post_strict(node, sid=1) == 200
        yield node


def _post_strict(node: Collector, **fields: Any) -> int:
    """Post to the property that wants a `sid`."""
    body = json.dumps({"ea": "pay", "ec": "till", **fields}).encode()
    return node.send("POST", "/event?portal_id=33167&prop_id=3", body, content_type="application/json").status


def test_a_redrive_takes_what_its_preview_saw_and_the_audit_balances(node: Collector, tab: Tab) -> None:
    assert [_post_strict(node, uid=f"u-{number}") for number in range(3)] == [400] * 3
    settings = node.folder / "collector.toml"
    settings.write_text(settings.read_text().replace(_STRICT, '"ea", "ec"'))
    page = tab.open("/dead")
    page.get_by_role("link", name="sid: missing").click()
    page.get_by_role("button", name="Preview redrive of 3").click()
    expect(page.get_by_role("button", name="Redrive 3")).to_be_enabled()
    assert _post_strict(node, uid="late") == 400
    page.get_by_role("button", name="Redrive 3").click()
    expect(page.locator(".jobs")).to_contain_text("✓ done")
    stored = [record["event"]["uid"] for record in node.stored() if "uid" in record["event"]]
    assert sorted(stored) == ["u-0", "u-1", "u-2"]
    page = tab.open("/dead?reason=sid%3A+missing")
    expect(page.get_by_role("button", name="Preview redrive of 4")).to_be_visible()
    assert page.locator("tbody tr", has_text="✓ yes").count() == 3
    eventually(lambda: len(node.shipped()) == 4, "the redriven events are shipped")
    _audit_balances(node)


def _audit_balances(node: Collector) -> None:
    audit = [str(PROGRAMS / "collector"), "audit", "--config", str(node.folder / "collector.toml")]
    done = subprocess.run(audit, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _dry_run(page: Page) -> None:
    page.get_by_role("combobox", name="sink").select_option("file")
    page.get_by_role("button", name="Dry run").click()


def test_a_replay_sends_what_its_dry_run_counted(node: Collector, tab: Tab) -> None:
    events = len(node.stored())
    page = tab.open("/replay")
    _dry_run(page)
    start = page.get_by_role("button", name=re.compile(f"Replay {events} events? to file"))
    expect(start).to_be_enabled()
    assert _post_strict(node, sid=1, uid="after the dry run") == 200
    start.click()
    job = page.locator(".jobs li").first
    expect(job).to_contain_text("✓ done")
    expect(job).to_contain_text(f"{events} of {events}")


def test_a_replay_that_runs_shows_progress_and_can_be_stopped(node: Collector, tab: Tab) -> None:
    page = tab.open("/replay")
    _dry_run(page)
    start = page.get_by_role("button", name=re.compile("Replay .* to file"))
    expect(start).to_be_enabled()  # the dry run, a replay too, is over
    with ThreadPoolExecutor(1) as pool:
        suspended = pool.submit(_suspended_job, node)
        start.click()
        process = suspended.result()
    job = page.locator(".jobs li").first
    expect(job).to_contain_text("→ running")
    expect(job.get_by_role("progressbar")).to_be_visible()
    job.get_by_role("button", name="Stop").click()
    process.resume()
    expect(job).to_contain_text("◆ stopped")
    job.get_by_role("button", name="Run again with the same times").click()
    expect(page.get_by_role("combobox", name="sink")).to_have_value("file")


def _suspended_job(node: Collector) -> psutil.Process:
    """The process of the next replay, suspended as soon as it is there: it would soon be done."""
    (admin,) = node.admin_processes()
    eventually(lambda: _replays(admin), "the job runs")
    (process,) = _replays(admin)
    process.suspend()
    return process


def _replays(admin: psutil.Process) -> list[psutil.Process]:
    return [each for each in admin.children() if "replay" in each.cmdline()]


@pytest.mark.parametrize("dialect", ["event", "segment"])
def test_try_sends_an_event_and_shows_what_becomes_of_it(node: Collector, tab: Tab, dialect: str) -> None:
    uid = f"tried-{dialect}"
    page = tab.open(f"/try?property=33167/2&dialect={dialect}")
    body = page.get_by_label("body")
    body.fill(body.input_value().replace("u-8812", uid))
    page.get_by_role("button", name="Send a real event").click()
    answer = page.locator("section", has=page.get_by_role("heading", name="Answer"))
    expect(answer).to_contain_text("✓ 200")
    (record,) = [each for each in node.stored() if each["event"].get("uid") == uid]
    if dialect == "event":
        expect(answer.locator("h2.id")).to_have_text(record["id"])
        answer.get_by_role("tab", name="Sinks").click()
        expect(answer.get_by_role("tabpanel")).to_contain_text("delivered")
    page = tab.open(f"/live?uid={uid}")
    eventually(lambda: len(listed(page)) == 1, "it is in Live")
