"""What is on the device and on the wire in each state of consent, byte by byte."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.running import eventually
from tests.tracker import BOTH, faults, firefox
from tests.tracker.background import Background
from tests.tracker.browser import Tab
from tests.tracker.firefox import Firefox
from tests.tracker.scene import Scene, Site
from tests.tracker.scripts import DO_NOT_TRACK, SIGNAL

pytestmark = pytest.mark.clients
_DEVICE = """(async () => ({
    local: device(), session: {...sessionStorage}, cookie: document.cookie,
    databases: (await indexedDB.databases()).length, caches: window.caches ? (await caches.keys()).length : 0,
}))()"""
_NOTHING = {"local": {}, "session": {}, "cookie": "", "databases": 0, "caches": 0}


def _device(tab: Tab) -> Any:
    """All that the page's origin has stored."""
    return tab.js(_DEVICE)


@BOTH
def test_while_consent_is_pending_nothing_is_stored_or_sent(scene: Scene) -> None:
    tab = scene.open(consent="pending", pages=True, clicks=True, time=True)
    held = scene.track(tab, 3)
    assert len(held) == 3
    tab.set_offline(True)
    tab.set_offline(False)
    assert _device(tab) == _NOTHING
    tab.go(scene.url("next", consent="pending"))
    assert _device(tab) == _NOTHING
    assert scene.proxy.received == []


@BOTH
def test_events_of_before_go_out_once_consent_is_granted(scene: Scene) -> None:
    tab = scene.open(consent="pending")
    scene.track(tab, 3)
    tab.js("tracklog('consent', 'granted')")
    scene.drain(tab)
    assert scene.verdict().stored == 3
    assert len({each["event"]["aid"] for each in scene.stored()}) == 1
    scene.check()


@BOTH
def test_after_a_denial_nothing_is_on_the_device_and_nothing_is_sent(scene: Scene) -> None:
    tab = scene.open()
    scene.track(tab)
    scene.drain(tab)
    assert _device(tab)["local"]
    scene.proxy.plan = lambda: faults.HANG
    scene.track(tab)
    eventually(lambda: scene.proxy.flying == 1, "a request hangs")
    tab.js("tracklog('consent', 'denied')")
    assert scene.track(tab, 2) == []
    _assert_silent(scene, tab)
    tab.go(scene.url("next", consent="denied", pages=True, clicks=True, time=True))
    assert scene.track(tab, 2) == []
    _assert_silent(scene, tab)


def _assert_silent(scene: Scene, tab: Tab) -> None:
    sent = len(scene.proxy.received)
    assert _device(tab) == _NOTHING
    tab.set_offline(True)
    tab.set_offline(False)
    scene.visitor.open()
    tab.until("document.visibilityState === 'hidden'")
    assert len(scene.proxy.received) == sent


@BOTH
def test_events_of_a_denied_time_never_come_back(scene: Scene) -> None:
    tab = scene.open(consent="pending")
    refused = scene.track(tab, 2)
    tab.js("tracklog('consent', 'denied')")
    tab.js("void send(2)")
    tab.js("tracklog('consent', 'granted')")
    (wanted,) = scene.track(tab)
    scene.drain(tab)
    assert [each["event_id"] for each in scene.stored()] == [wanted]
    assert (set(scene.dropped().values()), len(scene.dropped())) == ({"denied"}, 2 + 2)
    assert scene.dropped().keys() >= set(refused)


@BOTH
def test_a_denial_in_one_tab_holds_in_the_others(scene: Scene) -> None:
    first, second = scene.open(), scene.open()
    scene.track(second)
    scene.drain(second)
    first.js("tracklog('consent', 'denied')")
    second.until("tracklog('track', 'view', 'product') === null")
    _assert_silent(scene, second)


@pytest.mark.parametrize("signal", [SIGNAL, DO_NOT_TRACK], ids=["GPC", "DNT"])
def test_a_browser_that_asks_not_to_be_tracked_sends_without_ids_and_stores_nothing(scene: Scene, signal: str) -> None:
    tab = scene.open(before=signal, uid="u-8812")
    _check_anonymous(scene, tab)


@pytest.fixture
def private(background: Background, where: Site, tmp_path: Path) -> Iterator[Scene]:
    """A scene in a Firefox whose user turned Global Privacy Control on."""
    if firefox.PROGRAM is None:
        pytest.skip("firefox is not installed; on Debian: apt-get install firefox-esr")
    preferences = {"privacy.globalprivacycontrol.enabled": True}
    with (
        closing(Firefox(background, tmp_path, preferences)) as started,
        closing(Scene(where, started.visitor())) as begun,
    ):
        yield begun


def test_global_privacy_control_of_firefox_is_respected(private: Scene) -> None:
    tab = private.open(uid="u-8812")
    assert tab.js("navigator.globalPrivacyControl") is True
    _check_anonymous(private, tab)


def _check_anonymous(scene: Scene, tab: Tab) -> None:
    scene.track(tab, 2)
    scene.drain(tab)
    assert _device(tab) == _NOTHING
    assert [each for each in scene.stored() if {"aid", "uid", "sid"} & each["event"].keys()] == []
    assert [each for each in scene.proxy.received if "an_session" in each.query] == []
    assert scene.verdict().stored == 2
    scene.check()


def test_a_browser_that_asks_not_to_be_tracked_sends_nothing_where_the_page_wants_it_so(scene: Scene) -> None:
    tab = scene.open(before=SIGNAL, gpc="denied", pages=True)
    assert scene.track(tab) == []
    assert _device(tab) == _NOTHING
    assert scene.proxy.received == []


def test_a_grant_lifts_global_privacy_control_where_the_page_ignores_it(scene: Scene) -> None:
    tab = scene.open(before=SIGNAL, gpc="ignore")
    scene.track(tab)
    scene.drain(tab)
    assert "aid" in scene.stored()[0]["event"]
    scene.check()
