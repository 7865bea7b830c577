"""Chromium as most tests of pages use it: without a user interface, where that is installed, for half the CPU time.

The whole browser is for what only it has: preferences, what `tests/tracker` needs, and SDKs that look at its name.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

WHOLE = shutil.which("chromium")
PROGRAM = shutil.which("chromium-headless-shell") or WHOLE
NO_SANDBOX = "--no-sandbox"
"""Root, as which CI and containers run, has no sandbox."""
MISSING = "chromium is not installed; on Debian: apt-get install chromium"
NEEDS_CHROMIUM = pytest.mark.skipif(PROGRAM is None, reason=MISSING)


@contextmanager
def chromium(*arguments: str, program: str | None = PROGRAM) -> Iterator[Browser]:
    """A headless browser, closed at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[NO_SANDBOX, *arguments])
        yield browser
        browser.close()
