"""Pages that go away right after `track`: closed, reloaded, left, hidden, crashed."""

import json
from collections.abc import Callable

import pytest

from tests.running import eventually
from tests.tracker import BOTH, faults
from tests.tracker.browser import Tab
from tests.tracker.chromium import ChromiumTab
from tests.tracker.scene import Scene

pytestmark = pytest.mark.clients
Leave = Callable[[Scene, Tab], object]


def _close(scene: Scene, tab: Tab) -> None:
    scene.track(tab, 3)
    tab.close()


def _reload(scene: Scene, tab: Tab) -> None:
    tab.js("void (sendAndSay(3), setTimeout(() => location.reload()))")


def _follow_link(scene: Scene, tab: Tab) -> None:
    _follow(tab, scene.url("next"))


def _follow_link_to_another_site(scene: Scene, tab: Tab) -> None:
    _follow(tab, scene.url("next", host="localhost"))


def _follow(tab: Tab, url: str) -> None:
    tab.js(f"void (sendAndSay(3), setTimeout(() => location.href = {json.dumps(url)}))")


def _crash(scene: Scene, tab: Tab) -> None:
    assert isinstance(tab, ChromiumTab)
    scene.track(tab, 3)
    tab.crash()


_WAYS: tuple[Leave, ...] = (_close, _reload, _follow_link, _follow_link_to_another_site)


@BOTH
@pytest.mark.parametrize("seconds", [0, 2])
def test_an_event_outlives_its_page(begin: Callable[[], Scene], seconds: float) -> None:
    """However long the collector takes to answer."""
    scenes = [_left(begin(), leave, seconds) for leave in _WAYS]
    for each, way in zip(scenes, _WAYS, strict=True):
        each.drain(each.open("later"))
        assert each.verdict().stored == 3, way
        each.check()


@pytest.mark.parametrize("seconds", [0, 2])
def test_an_event_outlives_the_crash_of_its_page(scene: Scene, seconds: float) -> None:
    _left(scene, _crash, seconds)
    scene.drain(scene.open("later"))
    assert scene.verdict().stored == 3
    scene.check()


def _left(scene: Scene, leave: Leave, seconds: float) -> Scene:
    scene.proxy.plan = lambda: faults.delay(seconds)
    leave(scene, scene.open())
    return scene


def _waiting_tab(scene: Scene) -> Tab:
    """A tab with an event, whose next request would come in a minute."""
    scene.proxy.faults.append(faults.refuse(503, 60))
    tab = scene.open()
    scene.track(tab)
    eventually(lambda: scene.proxy.received, "the first request comes")
    tab.until("tracklog('stats').flying === 0")
    return tab


@BOTH
def test_a_page_sends_as_it_is_left(scene: Scene) -> None:
    """Nothing of ours comes after it, so it was the page itself."""
    tab = _waiting_tab(scene)
    tab.js("void (sendAndSay(3), setTimeout(() => location.href = '/bye'))")
    eventually(lambda: len(scene.returned()) == 4, "the page told its ids")
    scene.arrive(sorted(scene.returned()))
    assert [each.is_leave for each in scene.proxy.received] == [False, True]
    scene.check()


@BOTH
def test_a_page_sends_as_it_is_hidden(scene: Scene) -> None:
    tab = _waiting_tab(scene)
    scene.visitor.open()
    tab.until("document.visibilityState === 'hidden'")
    scene.arrive(sorted(scene.returned()))
    assert [each.is_leave for each in scene.proxy.received] == [False, True]
    scene.drain(tab)
    scene.check()


@BOTH
def test_events_of_the_moment_of_leaving_are_stored(scene: Scene) -> None:
    tab = scene.open()
    tab.js("void addEventListener('pagehide', () => sendAndSay(1))")
    tab.go(scene.url("next"))
    scene.drain(tab)
    assert len(scene.stored()) == 1
    scene.check()


@BOTH
def test_an_event_in_flight_outlives_a_leave_and_a_return(scene: Scene) -> None:
    """Its request was answered while nobody could take the answer. Firefox loads the page again."""
    tab = _return_with_request_in_flight(scene)
    scene.track(tab, 2)
    scene.drain(tab)
    assert scene.verdict().stored == 3
    scene.check()


def test_a_page_with_a_request_in_flight_may_enter_the_back_forward_cache(scene: Scene) -> None:
    _return_with_request_in_flight(scene).until("window.isRestored")


def _return_with_request_in_flight(scene: Scene) -> Tab:
    scene.proxy.plan = lambda: faults.delay(1)
    tab = scene.open()
    tab.js("void addEventListener('pageshow', event => window.isRestored = event.persisted)")
    scene.track(tab)
    eventually(lambda: scene.proxy.received, "the request is there")
    tab.go(scene.url("next"))
    eventually(lambda: scene.proxy.received[0].ended, "the answer is gone")
    tab.back()
    return tab


@BOTH
def test_a_return_from_the_back_forward_cache_is_one_page_view(scene: Scene) -> None:
    tab = scene.open(pages=True)
    scene.drain(tab)
    tab.go(scene.url("next", pages=True))
    tab.back()
    eventually(lambda: len(scene.stored()) >= 3, "three page views")
    scene.drain(tab)
    assert len(scene.stored()) == 3
    scene.check()


def test_a_page_whose_keepalives_are_used_up_leaves_its_events_to_the_next(scene: Scene) -> None:
    tab = scene.open()
    tab.js("void fetch('/hang', {method: 'POST', keepalive: true, body: 'x'.repeat(65000)}).catch(() => 0)")
    tab.js("void (sendAndSay(40, {extra: {text: 'x'.repeat(500)}}), setTimeout(() => location.href = '/bye'))")
    tab.until("location.pathname === '/bye'")
    scene.drain(scene.open())
    assert scene.verdict().stored == 40
    scene.check()
