"""The main scenes in WebKit: Safari's engine has its own storage, locks and keepalive."""

import json

import pytest

from tests.running import eventually
from tests.tracker.browser import Tab
from tests.tracker.faults import refuse
from tests.tracker.scene import Scene

pytestmark = [pytest.mark.clients, pytest.mark.parametrize("browser", ["webkit"], indirect=True)]


def _check(scene: Scene, tab: Tab, count: int) -> None:
    scene.drain(tab)
    scene.check()
    assert len(scene.stored()) == count


def test_events_are_stored(scene: Scene) -> None:
    tab = scene.open()
    scene.track(tab, 3)
    _check(scene, tab, 3)


def test_a_reload_loses_nothing(scene: Scene) -> None:
    tab = scene.open()
    scene.track(tab, 3)
    tab.reload()
    _check(scene, tab, 3)


def test_a_link_loses_nothing(scene: Scene) -> None:
    tab = scene.open()
    tab.js(f"void (send(3), setTimeout(() => location.href = {json.dumps(scene.url('next'))}))")
    tab.until("location.pathname === '/next' && document.readyState === 'complete'")
    _check(scene, tab, 3)


def test_a_closed_tab_loses_nothing(scene: Scene) -> None:
    other, tab = scene.open(), scene.open()
    scene.track(tab, 3)
    tab.close()
    _check(scene, other, 3)


def test_a_503_is_waited_out(scene: Scene) -> None:
    scene.proxy.faults.append(refuse(503, 1))
    tab = scene.open()
    scene.track(tab, 3)
    eventually(lambda: scene.proxy.received, "the first request comes")
    _check(scene, tab, 3)
    assert [each.status for each in scene.proxy.received] == [503, 200]
