"""What may happen in a scene, by chance: visitors act, pages go away, the network fails."""

import time
from collections.abc import Callable, Iterator
from random import Random

from tests.tracker.browser import Tab
from tests.tracker.chromium import ChromiumTab
from tests.tracker.conditions import Handicap
from tests.tracker.scene import Scene
from tests.tracker.scripts import CLOCK, DAY, FILL

_MOST_EVENTS = 14
"""Of one moment."""


class Stage:
    """A scene that goes on."""

    def __init__(self, scene: Scene, random: Random, handicap: Handicap) -> None:
        self.scene = scene
        self.random = random
        self.handicap = handicap
        self.tabs: list[Tab] = []
        self._pages = 0

    def open(self) -> Tab:
        """One more tab."""
        path = f"page{self.next_number()}"
        before, host, consent = self.handicap.before, self.handicap.host, self.handicap.consent
        tab = self.scene.open(path, host, before, consent=consent)
        if self.handicap.name == "storage full":
            tab.js(FILL)
        self.tabs.append(tab)
        return tab

    def some_tab(self) -> Tab:
        """Any that is open."""
        return self.random.choice(self.tabs)

    def next_number(self) -> int:
        """For an address that no other page has."""
        self._pages += 1
        return self._pages

    def some(self) -> int:
        """A number of events."""
        return self.random.randint(1, _MOST_EVENTS)


Step = Callable[[Stage], object]


def steps_of(stage: Stage) -> Iterator[tuple[Step, int]]:
    """What may happen, and how often."""
    yield from ((_track, 10), (_wait, 3), (_go_offline, 2), (_take_down, 1), (_hide, 1), (_cut, 1))
    if stage.handicap.is_kept:
        yield from ((_reload, 2), (_follow, 2), (_go_back, 1), (_close, 2), (_open, 1))
        if isinstance(stage.tabs[0], ChromiumTab):
            yield (_crash, 1)
    if stage.handicap.before == CLOCK:
        yield (_jump, 4)


def _track(stage: Stage) -> None:
    stage.scene.track(stage.some_tab(), stage.some())


def _wait(stage: Stage) -> None:
    time.sleep(stage.random.uniform(0, 0.6))


def _go_offline(stage: Stage) -> None:
    tab = stage.some_tab()
    tab.set_offline(True)
    stage.scene.track(tab, stage.some())
    _wait(stage)
    tab.set_offline(False)


def _take_down(stage: Stage) -> None:
    stage.scene.proxy.down()
    stage.scene.track(stage.some_tab(), stage.some())
    _wait(stage)
    stage.scene.proxy.up()


def _cut(stage: Stage) -> None:
    """Whatever is in flight, and what comes soon."""
    stage.scene.proxy.down()
    stage.scene.proxy.up()


def _hide(stage: Stage) -> None:
    stage.scene.track(stage.some_tab(), stage.some())
    stage.scene.visitor.open().close()


def _reload(stage: Stage) -> None:
    tab = stage.some_tab()
    tab.js(f"void (window.isOld = true, sendAndSay({stage.some()}), setTimeout(() => location.reload()))")
    tab.until("!window.isOld && document.readyState === 'complete'")


def _follow(stage: Stage) -> None:
    _leave(stage, stage.some_tab())


def _go_back(stage: Stage) -> None:
    tab = stage.some_tab()
    _leave(stage, tab)
    stage.scene.track(tab, stage.some())
    tab.back()


def _leave(stage: Stage, tab: Tab) -> None:
    tab.js(f"void sendAndSay({stage.some()})")
    tab.go(stage.scene.url(f"next{stage.next_number()}", stage.handicap.host, consent=stage.handicap.consent))


def _close(stage: Stage) -> None:
    tab = stage.some_tab()
    stage.scene.track(tab, stage.some())
    tab.close()
    stage.tabs.remove(tab)
    if not stage.tabs:
        stage.open()


def _open(stage: Stage) -> None:
    stage.scene.track(stage.open(), stage.some())


def _crash(stage: Stage) -> None:
    tab = stage.some_tab()
    stage.scene.track(tab, stage.some())
    assert isinstance(tab, ChromiumTab)
    tab.crash()
    tab.close()
    stage.tabs.remove(tab)
    stage.open()


def _jump(stage: Stage) -> None:
    """The clock goes wrong until the page is left, or right again."""
    tab = stage.some_tab()
    tab.js(f"window.shift = {stage.random.choice((DAY, -DAY, 0))}")
    stage.scene.track(tab, stage.some())
