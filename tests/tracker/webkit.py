"""WebKitGTK's MiniBrowser over WebDriver: the engine of Safari, without its rules for storage and for phones.

It needs a screen, which Xvfb gives it. WebDriver tells neither errors nor requests, and takes no network away.
"""

import json
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from bench.processes import end, free_port, is_connectable
from tests.running import PATIENCE_SECONDS, eventually
from tests.tracker.browser import Browser, PageGone, Process, Tab, Visitor

_DRIVER = shutil.which("WebKitWebDriver")
_SCREEN = shutil.which("Xvfb")
_BROWSERS = sorted(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"))
IS_INSTALLED = bool(_DRIVER and _SCREEN and _BROWSERS)
_SCRIPT = """const done = arguments[arguments.length - 1]
try {{ ({expression}).then(value => done([value, null]), error => done([null, String(error)])) }}
catch (error) {{ done([null, String(error)]) }}"""


class WebKit(Browser):
    """A screen, and a driver with a browser for each visitor."""

    name = "webkit"

    def __init__(self, folder: Path) -> None:
        assert _SCREEN, "the test must have been skipped"
        self._visitors: list[WebKitVisitor] = []
        command = [_SCREEN, "-displayfd", "1", "-screen", "0", "800x600x24"]
        self._screen = Process(command, folder, r"(?m)^(\d+)$", os.environ)

    def visitor(self) -> "WebKitVisitor":
        begun = WebKitVisitor(f":{self._screen.address}")
        self._visitors.append(begun)
        return begun

    def close(self) -> None:
        for each in self._visitors:
            each.close()
        self._screen.kill()


class WebKitVisitor(Visitor):
    """A session, whose storage goes with it."""

    def __init__(self, display: str) -> None:
        assert _DRIVER, "the test must have been skipped"
        port = free_port()
        # root in a container can't make its sandbox, as with Chromium's --no-sandbox
        environment = os.environ | {
            "DISPLAY": display,
            "GDK_BACKEND": "x11",
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",
        }
        command = [_DRIVER, f"--port={port}"]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet, start_new_session=True)
        try:
            eventually(lambda: is_connectable(port), "the driver listens")
            browser = {"binary": str(_BROWSERS[-1]), "args": ["--automation"]}
            wanted = {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": browser}}}
            session = _ask("POST", f"http://127.0.0.1:{port}/session", wanted)["sessionId"]
        except BaseException:
            end(self._process)
            raise
        self._url = f"http://127.0.0.1:{port}/session/{session}"

    def open(self) -> "WebKitTab":
        handle = _ask("POST", f"{self._url}/window/new", {"type": "tab"})["handle"]
        return WebKitTab(self._url, handle)

    def close(self) -> None:
        """Idempotent."""
        with suppress(PageGone):
            _ask("DELETE", self._url)
        end(self._process)


class WebKitTab(Tab):
    """A window of a session."""

    def __init__(self, url: str, handle: str) -> None:
        super().__init__()
        self._url = url
        self._handle = handle

    def leave_for(self, url: str) -> None:
        self._call("POST", "url", {"url": url})

    def close(self) -> None:
        self._call("DELETE", "window")

    def before_scripts(self, script: str) -> NoReturn:
        raise NotImplementedError("WebDriver runs no script before those of a page")

    def set_offline(self, is_offline: bool) -> NoReturn:
        raise NotImplementedError("WebDriver takes no network away")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A command for this window, which must be the current one."""
        _ask("POST", f"{self._url}/window", {"handle": self._handle})
        return _ask(method, f"{self._url}/{path}", body)

    def _evaluate(self, expression: str) -> str:
        script = _SCRIPT.format(expression=expression)
        value, error = self._call("POST", "execute/async", {"script": script, "args": []})
        if error is not None:
            raise PageGone(error)
        return str(value)


def _ask(method: str, url: str, body: dict[str, Any] | None = None) -> Any:
    """The value of a command. Raises PageGone if the driver refuses it."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url, data, method=method), timeout=PATIENCE_SECONDS) as answer:
            return json.loads(answer.read())["value"]
    except HTTPError as error:
        with error:
            raise PageGone(error.read().decode()) from error
    except URLError as error:
        raise PageGone(str(error)) from error
