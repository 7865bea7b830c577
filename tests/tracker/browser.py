"""A browser as scenes use it: visitors with storage of their own, and their tabs. Each kind implements it."""

import json
import re
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.processes import end
from tests.running import PATIENCE_SECONDS, eventually, pause


class PageGone(Exception):
    """The page went away, or threw, before it gave its value."""


class Tab(ABC):
    """A tab. Its lists grow while it is open, and stay readable after it was closed."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        """Exceptions that nothing caught, errors on the console, and violations of the policy of the page."""
        self.requested: list[str] = []
        """URLs of all its requests."""
        self.told: list[Any] = []
        """What the page passed to `window.tell`, in order."""

    def js(self, expression: str) -> Any:
        """The JSON value of an expression, awaited if it is a promise. Raises PageGone."""
        text = self._evaluate(f"Promise.resolve({expression}).then(v => JSON.stringify(v === undefined ? null : v))")
        return json.loads(text)

    def until(self, condition: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Return once the expression is true. Pages come and go meanwhile."""
        started = time.monotonic()
        while not self._holds(condition):
            waited = time.monotonic() - started
            assert waited < seconds, f"never: {condition}"
            time.sleep(pause(waited))

    def go(self, url: str) -> None:
        """Navigate, and return once the page with all its scripts is there."""
        self.leave_for(url)
        self.until(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def back(self) -> None:
        """Go back one entry of the history, and return once another page is there."""
        left = json.dumps(self.js("location.href"))
        self.js("void setTimeout(() => history.back())")
        self.until(f"location.href !== {left} && location.protocol === 'http:' && document.readyState === 'complete'")

    def reload(self) -> None:
        """Reload, and return once the page is there again."""
        self.js("void (window.isOld = true, setTimeout(() => location.reload()))")
        self.until("!window.isOld && document.readyState === 'complete'")

    @abstractmethod
    def leave_for(self, url: str) -> None:
        """Start to navigate."""

    @abstractmethod
    def close(self) -> None:
        """Close it, without questions."""

    @abstractmethod
    def before_scripts(self, script: str) -> None:
        """Run a script in each later page, before the page's own."""

    @abstractmethod
    def set_offline(self, is_offline: bool) -> None:
        """Take its network away, or give it back."""

    @abstractmethod
    def _evaluate(self, expression: str) -> str: ...

    def _holds(self, condition: str) -> bool:
        try:
            return bool(self.js(condition))
        except PageGone:
            return False

    def _tell(self, text: str) -> None:
        self.told.append(json.loads(text))


class Visitor(ABC):
    """Cookies and storage that no other visitor has."""

    @abstractmethod
    def open(self) -> Tab:
        """A new empty tab, in front of the others."""

    @abstractmethod
    def close(self) -> None:
        """Close all tabs, and forget the storage."""


class Browser(ABC):
    """A running browser."""

    name: str

    @abstractmethod
    def visitor(self) -> Visitor:
        """A new visitor."""

    @abstractmethod
    def close(self) -> None:
        """End all of its processes. Idempotent."""


_WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""Has a browser end with the process that started it, also when that is killed: ten of them stop a machine."""


class Process:
    """The processes of a browser, and the address that it printed."""

    def __init__(self, command: Sequence[str], folder: Path, pattern: str, environment: Mapping[str, str]) -> None:
        """`pattern` finds the address in what the browser prints."""
        self._printed = folder / "printed"
        with self._printed.open("wb") as printed:
            self._process = subprocess.Popen(
                [*_WITH_US, *command], stdout=printed, stderr=printed, env=dict(environment), start_new_session=True
            )
        try:
            eventually(lambda: re.search(pattern, self._text), f"{command[0]} prints its address: {self._text}")
        except BaseException:
            self.kill()
            raise
        found = re.search(pattern, self._text)
        assert found
        self.address = found[1]

    def kill(self) -> None:
        """SIGKILL to all of them at once. Idempotent."""
        end(self._process)

    @property
    def _text(self) -> str:
        return self._printed.read_text(errors="replace")
