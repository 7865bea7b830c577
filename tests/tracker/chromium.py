"""Chromium over CDP, started as its users start it: with the back-forward cache and with throttling.

Playwright starts it without both, and cannot kill it.
"""

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

from tests.tracker.background import Background
from tests.tracker.browser import Browser, PageGone, Process, Tab, Visitor
from tests.tracker.wire import Wire, WireError

PROGRAM = shutil.which("chromium")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
    "--remote-debugging-port=0",
)
_DOMAINS = ("Page", "Runtime", "Network", "Log")
_DISPOSAL_SECONDS = 30.0


class Chromium(Browser):
    """Chromium with its profile in `folder`, where a later one finds what this one left."""

    name = "chromium"

    def __init__(self, background: Background, folder: Path) -> None:
        assert PROGRAM, "the test must have been skipped"
        profile = folder / "profile"
        folder.mkdir(parents=True, exist_ok=True)
        command = [PROGRAM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._process = Process(command, folder, r"DevTools listening on (ws://\S+)", os.environ)
        self._tabs: dict[str, ChromiumTab] = {}
        self.wire = Wire(background, self._process.address, self._take)

    def visitor(self) -> "ChromiumVisitor":
        context = self.wire.call("Target.createBrowserContext")["browserContextId"]
        return ChromiumVisitor(self, context)

    def owner(self) -> "ChromiumVisitor":
        """The visitor whose storage is in the profile."""
        return ChromiumVisitor(self, "")

    def close(self) -> None:
        self.kill()

    def kill(self) -> None:
        """SIGKILL to all its processes at once."""
        self._process.kill()
        self.wire.close()

    def attach(self, target: str) -> "ChromiumTab":
        """The tab of a target, whose events go to it from now on."""
        session = self.wire.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        tab = self._tabs[session] = ChromiumTab(self.wire, target, session)
        for domain in _DOMAINS:
            tab.call(f"{domain}.enable")
        tab.call("Runtime.addBinding", name="tell")
        return tab

    def detach(self, tab: "ChromiumTab") -> None:
        """Stop to debug a tab, which goes on by itself."""
        self.wire.call("Target.detachFromTarget", {"sessionId": tab.session})

    def _take(self, method: str, params: dict[str, Any], session: str) -> None:
        if session in self._tabs:
            self._tabs[session].take(method, params)


class ChromiumVisitor(Visitor):
    """A browser context of Chromium."""

    def __init__(self, browser: Chromium, context: str) -> None:
        self._browser = browser
        self._of_context = {"browserContextId": context} if context else {}
        self._tabs: list[ChromiumTab] = []

    def open(self) -> "ChromiumTab":
        created = self._browser.wire.call("Target.createTarget", {"url": "about:blank", **self._of_context})
        tab = self._browser.attach(created["targetId"])
        self._tabs.append(tab)
        return tab

    def close(self) -> None:
        # Chromium was killed, or does not answer this at times, and goes on all the same: it ends with the last test.
        with contextlib.suppress(WireError, TimeoutError):
            if self._of_context:
                self._browser.wire.call("Target.disposeBrowserContext", self._of_context, seconds=_DISPOSAL_SECONDS)


class ChromiumTab(Tab):
    """A target of Chromium; `call` sends it any command of CDP."""

    def __init__(self, wire: Wire, target: str, session: str) -> None:
        super().__init__()
        self._wire = wire
        self.target = target
        self.session = session

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a command. Raises WireError."""
        return self._wire.call(method, params, self.session)

    def leave_for(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def close(self) -> None:
        self._wire.call("Target.closeTarget", {"targetId": self.target})

    def before_scripts(self, script: str) -> None:
        self.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def set_offline(self, is_offline: bool) -> None:
        speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.call("Network.emulateNetworkConditions", offline=is_offline, **speed)

    def crash(self) -> None:
        """Kill its renderer. The tab shows an error until it navigates."""
        with contextlib.suppress(WireError, TimeoutError):
            self._wire.call("Page.crash", session=self.session, seconds=1)

    def freeze(self) -> None:
        """Freeze it, as a phone does with tabs in the background."""
        self.call("Page.setWebLifecycleState", state="frozen")

    def heap(self) -> int:
        """Bytes of JavaScript in the page, after a collection of garbage."""
        self.call("HeapProfiler.collectGarbage")
        return int(self.call("Runtime.getHeapUsage")["usedSize"])

    def take(self, method: str, params: dict[str, Any]) -> None:
        """Note an event; called in the thread of the loop."""
        match method:
            case "Runtime.bindingCalled":
                self._tell(params["payload"])
            case "Runtime.exceptionThrown":
                self.errors.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] == "error":
                self.errors.append(str(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] == "error" and params["entry"]["source"] != "network":
                self.errors.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requested.append(params["request"]["url"])

    def _evaluate(self, expression: str) -> str:
        try:
            done = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        except WireError as error:
            raise PageGone(str(error)) from error
        if "exceptionDetails" in done:
            raise PageGone(str(done["exceptionDetails"]))
        return str(done["result"].get("value"))
