"""Several tabs of one visitor, which share a queue."""

import pytest

from tests.running import eventually
from tests.tracker import BOTH, faults
from tests.tracker.chromium import ChromiumTab
from tests.tracker.scene import Scene

pytestmark = pytest.mark.clients


@BOTH
@pytest.mark.parametrize("count", [2, 5])
def test_tabs_send_one_request_at_a_time_and_each_event_once(scene: Scene, count: int) -> None:
    scene.proxy.plan = lambda: faults.delay(0.2)
    tabs = [scene.open(f"tab{number}") for number in range(count)]
    for _ in range(3):
        for tab in tabs:
            scene.track(tab, 2)
    for tab in tabs:
        scene.drain(tab)
    verdict = scene.verdict()
    assert (verdict.stored, scene.proxy.most_at_once()) == (6 * count, 1)
    assert all("duplicates" not in each.fault.name for each in scene.proxy.received)
    scene.check()


@BOTH
def test_another_tab_goes_on_when_the_one_that_sends_is_closed(scene: Scene) -> None:
    scene.proxy.faults.append(faults.HANG)
    first, second = scene.open(), scene.open()
    scene.track(first, 2)
    eventually(lambda: scene.proxy.flying == 1, "a request hangs")
    scene.track(second, 2)
    first.close()
    scene.drain(second)
    assert scene.verdict().stored == 4
    scene.check()


def test_another_tab_goes_on_when_the_one_that_sends_crashes(scene: Scene) -> None:
    scene.proxy.faults.append(faults.HANG)
    second, first = scene.open(), scene.open()
    scene.track(first, 2)
    eventually(lambda: scene.proxy.flying == 1, "a request hangs")
    scene.track(second, 2)
    assert isinstance(first, ChromiumTab)
    first.crash()
    scene.drain(second)
    assert scene.verdict().stored == 4
    scene.check()


@BOTH
def test_a_return_of_the_network_wakes_one_tab(scene: Scene) -> None:
    tabs = [scene.open() for _ in range(3)]
    for tab in tabs:
        tab.set_offline(True)
    for tab in tabs:
        scene.track(tab, 2)
    for tab in tabs:
        tab.set_offline(False)
    for tab in tabs:
        scene.drain(tab)
    assert (scene.verdict().stored, scene.proxy.most_at_once()) == (6, 1)
    scene.check()


@BOTH
def test_tabs_without_web_locks_send_every_event(scene: Scene) -> None:
    """On plain http, where browsers have none."""
    tabs = [scene.open(host="shop.test") for _ in range(2)]
    assert [tab.js("navigator.locks === undefined") for tab in tabs] == [True, True]
    for tab in tabs * 2:
        scene.track(tab, 3)
    for tab in tabs:
        scene.drain(tab)
    assert scene.verdict().stored == 12
    scene.check()
