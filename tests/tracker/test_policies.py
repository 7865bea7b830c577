"""Pages with a policy, pages whose requests are blocked, and pages that do what pages should not."""

import time

import pytest

from tests.running import eventually
from tests.tracker import BOTH, faults
from tests.tracker.chromium import Chromium, ChromiumTab
from tests.tracker.scene import Scene

pytestmark = pytest.mark.clients
_PRERENDER = """void setTimeout(() => {
    const rules = document.createElement('script')
    rules.type = 'speculationrules'
    rules.textContent = JSON.stringify({prerender: [{source: 'list', urls: ['URL'], eagerness: 'immediate'}]})
    document.head.append(rules)
    const look = async () => (await fetch('/ran-yet')).ok ? location.href = 'URL' : setTimeout(look, 100)
    look()
}, 500)"""
"""Has a page prerendered, and goes there once it ran."""


@BOTH
def test_a_strict_policy_with_a_nonce_and_trusted_types_is_enough(scene: Scene) -> None:
    tab = scene.open("strict", pages=True, clicks=True, time=True)
    scene.track(tab, 2)
    scene.drain(tab)
    tab.reload()
    scene.drain(tab)
    assert scene.verdict().stored >= 4
    scene.check()


@BOTH
def test_a_policy_that_forbids_the_collector_costs_three_attempts_a_minute_and_no_event(scene: Scene) -> None:
    tab = scene.open("blocked")
    scene.track(tab, 2)
    eventually(lambda: len(tab.errors) >= 3, "the browser complains thrice")
    scene.track(tab, 2)
    assert (scene.proxy.received, len(tab.js("queue()"))) == ([], 4)
    scene.drain(scene.open("plain"))
    assert scene.verdict().stored == 4
    assert scene.verdict().is_kept


def test_a_blocked_collector_is_asked_thrice_and_once_more_as_the_page_is_left(scene: Scene) -> None:
    tab = scene.open()
    assert isinstance(tab, ChromiumTab)
    tab.call("Network.setBlockedURLs", urls=[f"{scene.proxy.url}*"])
    scene.track(tab, 2)
    eventually(lambda: _asked(scene, tab) == 3, "it is asked thrice")
    scene.track(tab, 2)
    time.sleep(1)  # longer than the rest after an event
    assert _asked(scene, tab) == 3
    tab.call("Network.setBlockedURLs", urls=[])
    scene.drain(scene.open())
    assert _asked(scene, tab) == 4
    assert scene.verdict().stored == 4
    scene.check()


def _asked(scene: Scene, tab: ChromiumTab) -> int:
    return sum(url.startswith(scene.proxy.url) for url in tab.requested)


@BOTH
def test_a_fetch_that_the_page_broke_stops_nothing_in_the_page(scene: Scene) -> None:
    tab = scene.open(before="window.fetch = () => { throw new TypeError('broken') }")
    scene.track(tab, 2)
    tab.go(scene.url("next"))
    other = scene.open()
    scene.drain(other)
    assert scene.verdict().stored == 2
    scene.check()


@BOTH
def test_a_second_script_and_a_second_start_change_nothing(scene: Scene) -> None:
    tab = scene.open(pages=True)
    options = tab.js("JSON.parse(decodeURIComponent(location.search.slice(1))).options")
    tab.js(f"tracklog('init', {options})".replace("True", "true"))
    tab.js(
        "new Promise(done => { const again = document.createElement('script'); again.onload = () => done();"
        "again.src = '/t.js'; document.head.append(again) })"
    )
    scene.track(tab, 2)
    scene.drain(tab)
    assert len(scene.stored()) == 3
    scene.check()


@BOTH
def test_each_address_of_a_single_page_application_is_one_view(scene: Scene) -> None:
    tab = scene.open(pages=True)
    tab.js("void (history.replaceState({}, '', '#a'), history.pushState({}, '', '/cart'))")
    tab.js("void history.replaceState({}, '', '/cart')")
    eventually(lambda: len(scene.stored()) == 2, "two page views")
    tab.js("void setTimeout(() => history.back())")
    eventually(lambda: len(scene.stored()) == 3, "three page views")
    scene.drain(tab)
    assert len(scene.stored()) == 3
    scene.check()


def test_a_page_that_is_prerendered_counts_when_somebody_looks_at_it(scene: Scene, browser: Chromium) -> None:
    tab = scene.open()
    assert isinstance(tab, ChromiumTab)
    tab.js(_PRERENDER.replace("URL", scene.url("ahead", pages=True)))
    browser.detach(tab)  # Chromium prerenders nothing in a tab that is debugged
    eventually(lambda: "looked-at" in scene.site.pages.requested, "the page that ran ahead is looked at")
    seen = browser.attach(tab.target)
    seen.until("document.readyState === 'complete'")
    assert seen.js("performance.getEntriesByType('navigation')[0].activationStart") > 0
    scene.drain(seen)
    assert len(scene.stored()) == 1
    scene.check()


@BOTH
def test_an_id_of_the_page_counts_once_after_a_reload(scene: Scene) -> None:
    tab = scene.open()
    scene.track(tab, 1, "{event_id: 'order-4711'}")
    scene.drain(tab)
    tab.reload()
    scene.track(tab, 1, "{event_id: 'order-4711'}")
    scene.drain(tab)
    assert [each["event_id"] for each in scene.stored()] == ["order-4711"]
    scene.check()


@BOTH
def test_a_busy_page_sends_while_it_tracks(scene: Scene) -> None:
    """Each event comes before the timer of the one before is due."""
    tab = scene.open()
    tab.js("void setInterval(() => sendAndSay(1), 30)")
    eventually(lambda: len(scene.proxy.received) >= 3, "requests go out")
    scene.proxy.plan = lambda: faults.PASS
    tab.go(scene.url("next"))
    scene.drain(tab)
    scene.check()
