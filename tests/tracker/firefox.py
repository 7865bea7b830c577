"""Firefox over WebDriver BiDi, without a driver program between."""

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.tracker.background import Background
from tests.tracker.browser import Browser, PageGone, Process, Tab, Visitor
from tests.tracker.wire import Wire, WireError

PROGRAM = shutil.which("firefox-esr") or shutil.which("firefox")
_NONE: Mapping[str, object] = MappingProxyType({})
_PREFERENCES: Mapping[str, object] = MappingProxyType(
    {
        "network.dns.localDomains": "shop.test",
        # nothing but the scenes: no updates, no experiments, no pings, no captive portal check
        "app.normandy.enabled": False,
        "app.update.enabled": False,
        "browser.shell.checkDefaultBrowser": False,
        "datareporting.policy.dataSubmissionEnabled": False,
        "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False,
        "services.settings.server": "http://127.0.0.1:1",
        "toolkit.telemetry.server": "http://127.0.0.1:1",
    }
)
_EVENTS = ("log.entryAdded", "network.beforeRequestSent", "script.message")
_TELL = "tell => { window.tell = tell }"


class Firefox(Browser):
    """Firefox with a profile in `folder` that has these preferences."""

    name = "firefox"

    def __init__(self, background: Background, folder: Path, preferences: Mapping[str, object] = _NONE) -> None:
        assert PROGRAM, "the test must have been skipped"
        profile = folder / "profile"
        profile.mkdir(parents=True)
        (profile / "user.js").write_text("\n".join(map(_preference, {**_PREFERENCES, **preferences}.items())))
        command = [PROGRAM, "--headless", "--no-remote", "--remote-debugging-port=0", "--profile", str(profile)]
        environment = os.environ | {"MOZ_CRASHREPORTER_DISABLE": "1", "HOME": str(folder)}
        self._process = Process(command, folder, r"BiDi listening on (ws://\S+)", environment)
        self._tabs: dict[str, FirefoxTab] = {}
        self.wire = Wire(background, f"{self._process.address}/session", self._take)
        self.wire.call("session.new", {"capabilities": {}})
        self.wire.call("session.subscribe", {"events": _EVENTS})

    def visitor(self) -> "FirefoxVisitor":
        return FirefoxVisitor(self, self.wire.call("browser.createUserContext")["userContext"])

    def close(self) -> None:
        self._process.kill()
        self.wire.close()

    def add(self, context: str) -> "FirefoxTab":
        """The tab of a browsing context, whose events go to it from now on."""
        tab = self._tabs[context] = FirefoxTab(self.wire, context)
        return tab

    def _take(self, method: str, params: dict[str, Any], session: str) -> None:  # noqa: ARG002 - CDP alone has sessions
        context = params.get("context") or params.get("source", {}).get("context")
        if context in self._tabs:
            self._tabs[context].take(method, params)


class FirefoxVisitor(Visitor):
    """A user context, which Firefox's own interface calls a container."""

    def __init__(self, browser: Firefox, context: str) -> None:
        self._browser = browser
        self._context = {"userContext": context}
        channel = {"type": "channel", "value": {"channel": "tell"}}
        tell = {"functionDeclaration": _TELL, "arguments": [channel], "userContexts": [context]}
        browser.wire.call("script.addPreloadScript", tell)

    def open(self) -> "FirefoxTab":
        created = self._browser.wire.call("browsingContext.create", {"type": "tab", **self._context})
        return self._browser.add(created["context"])

    def close(self) -> None:
        with contextlib.suppress(WireError):
            self._browser.wire.call("browser.removeUserContext", self._context)


class FirefoxTab(Tab):
    """A browsing context of Firefox; `call` sends it any command of BiDi."""

    def __init__(self, wire: Wire, context: str) -> None:
        super().__init__()
        self._wire = wire
        self._context = context

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a command on this context. Raises WireError."""
        return self._wire.call(method, {"context": self._context, **params})

    def leave_for(self, url: str) -> None:
        self.call("browsingContext.navigate", url=url, wait="none")

    def close(self) -> None:
        self.call("browsingContext.close")

    def before_scripts(self, script: str) -> None:
        declaration = {"functionDeclaration": f"() => {{ {script} }}", "contexts": [self._context]}
        self._wire.call("script.addPreloadScript", declaration)

    def set_offline(self, is_offline: bool) -> None:
        conditions = {"type": "offline"} if is_offline else None
        self._wire.call(
            "emulation.setNetworkConditions", {"networkConditions": conditions, "contexts": [self._context]}
        )

    def take(self, method: str, params: dict[str, Any]) -> None:
        """Note an event; called in the thread of the loop."""
        match method:
            case "script.message":
                self._tell(params["data"]["value"])
            case "network.beforeRequestSent":
                self.requested.append(params["request"]["url"])
            case "log.entryAdded" if params["level"] == "error":
                self.errors.append(str(params["text"]))

    def _evaluate(self, expression: str) -> str:
        target = {"context": self._context}
        try:
            done = self._wire.call("script.evaluate", {"expression": expression, "target": target, "awaitPromise": True})
        except WireError as error:
            raise PageGone(str(error)) from error
        if done["type"] == "exception":
            raise PageGone(str(done["exceptionDetails"]["text"]))
        return str(done["result"].get("value"))


def _preference(pair: tuple[str, object]) -> str:
    name, value = pair
    text = str(value).lower() if isinstance(value, bool) else f'"{value}"'
    return f'user_pref("{name}", {text});'
