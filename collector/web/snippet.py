"""The tags that a page needs for the tracker, and the content security policy that allows them, pure."""

import hashlib
from base64 import b64encode
from html import escape
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

STUB: Final = "window.tracklog=window.tracklog||function(){(tracklog.q=tracklog.q||[]).push([Date.now(),arguments])};"
"""Keeps the calls that a page makes before the script is there."""
_IN_SCRIPTS: Final = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&"})
"""JSON in a script element must not end it."""


class Snippet(NamedTuple):
    """The values that a page's tags carry. All of them are escaped where they stand."""

    events_url: str
    """The whole URL of the path for events."""
    script_url: str
    integrity: str
    public_id: str
    nonce: str | None = None
    """The nonce of the page's policy, or the placeholder of a template for it."""

    is_inline: bool = True
    """Whether the options stand in inline code, beside the stub; else in attributes of the tag."""

    def tags(self) -> str:
        """The tags for the page's head. Calls may follow inline code at once; without it, when the script is there."""
        loading = {"src": self.script_url, "integrity": self.integrity, "crossorigin": "anonymous", "nonce": self.nonce}
        if self.is_inline:
            return f"{_script(self._inline_code(), nonce=self.nonce)}\n{_script('', **loading)}"
        return _script("", **loading, data_url=self.events_url, data_id=self.public_id, data_pages="true")

    def policy(self) -> tuple[str, str]:
        """The directives that the page's Content-Security-Policy needs."""
        if self.nonce:
            sources = f"'nonce-{self.nonce}'"
        else:
            sources = _origin(self.script_url) + (f" {_digest(self._inline_code())}" if self.is_inline else "")
        return f"script-src {sources}", f"connect-src {_origin(self.events_url)}"

    def policy_notes(self) -> tuple[str, ...]:
        """The needs of the page's Content-Security-Policy, in sentences."""
        if "[" in _origin(self.events_url):
            return ("browsers ignore IPv6 addresses in a Content-Security-Policy: pages with one need a host name",)
        return tuple(f"the page's Content-Security-Policy needs: {directive}" for directive in self.policy())

    def _inline_code(self) -> str:
        options = {"url": self.events_url, "id": self.public_id, "pages": True}
        return f"{STUB}tracklog('init',{msgspec.json.encode(options).decode().translate(_IN_SCRIPTS)})"


def _script(code: str, **attributes: str | None) -> str:
    """A script element; one with a `src` does not block the page. An attribute that is None is left out."""
    written = [
        f' {name.replace("_", "-")}="{escape(value)}"' for name, value in attributes.items() if value is not None
    ]
    return f"<script{' async' if 'src' in attributes else ''}{''.join(written)}>{code}</script>"


def _digest(code: str) -> str:
    """The source expression that allows this inline code alone."""
    return f"'sha256-{b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
