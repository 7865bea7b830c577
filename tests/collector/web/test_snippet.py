"""The tags of a page: they hold whatever the values are, and the policy that is printed allows them."""

import hashlib
import json
import re
from base64 import b64encode
from html import unescape
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace

from collector.settings import PropertySettings
from collector.web.advice import advice
from collector.web.snippet import STUB, Snippet

SNIPPET = Snippet("https://c.example.com/event", "https://c.example.com/t.0a.js", "sha384-a+/=", "shop")
HOSTILE = "</script><img src=x onerror='alert(1)'>\"&\u2028"


class _Scripts(HTMLParser):
    """The script elements of a page, as a browser finds them: attributes and code."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[dict[str, str | None], str]] = []
        self.others: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        if tag == "script":
            self.found.append((dict(attrs), ""))
        else:
            self.others.append(tag)

    def handle_data(self, data: str) -> None:
        """Note it, if it is code."""
        if data.strip():
            attributes, code = self.found.pop()
            self.found.append((attributes, code + data))


def _options(code: str) -> object:
    match = re.fullmatch(re.escape(STUB) + r"tracklog\('init',(\{.*\})\)", code)
    assert match
    return json.loads(match[1])


def test_the_inline_form_has_the_stub_with_the_options_and_the_script() -> None:
    (stub, code), (loader, empty) = _Scripts(SNIPPET.tags()).found
    assert (stub, empty) == ({}, "")
    assert _options(code) == {"url": "https://c.example.com/event", "id": "shop", "pages": True}
    assert loader == {
        "async": None,
        "src": "https://c.example.com/t.0a.js",
        "integrity": "sha384-a+/=",
        "crossorigin": "anonymous",
    }


def test_the_form_without_inline_code_has_the_options_as_attributes() -> None:
    ((loader, code),) = _Scripts(SNIPPET._replace(is_inline=False).tags()).found
    assert code == ""
    assert {name: value for name, value in loader.items() if name.startswith("data-")} == {
        "data-url": "https://c.example.com/event",
        "data-id": "shop",
        "data-pages": "true",
    }


@pytest.mark.parametrize("is_inline", [True, False])
def test_a_nonce_is_in_each_tag(is_inline: bool) -> None:
    scripts = _Scripts(SNIPPET._replace(nonce="r4nd0m", is_inline=is_inline).tags()).found
    assert [attributes["nonce"] for attributes, _ in scripts] == ["r4nd0m"] * (1 + is_inline)


@pytest.mark.parametrize("is_inline", [True, False])
def test_no_value_ends_its_tag(is_inline: bool) -> None:
    page = Snippet(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, is_inline).tags()
    scripts = _Scripts(page)
    assert scripts.others == []
    assert len(scripts.found) == 1 + is_inline
    attributes, _ = scripts.found[-1]
    assert unescape(str(attributes["src"])) == attributes["nonce"] == HOSTILE
    if is_inline:
        assert _options(scripts.found[0][1]) == {"url": HOSTILE, "id": HOSTILE, "pages": True}
    else:
        assert attributes["data-id"] == HOSTILE


def test_the_policy_allows_the_inline_code_by_its_hash_and_nothing_else() -> None:
    ((_, code), _) = _Scripts(SNIPPET.tags()).found
    digest = b64encode(hashlib.sha256(code.encode()).digest()).decode()
    assert SNIPPET.policy() == (
        f"script-src https://c.example.com 'sha256-{digest}'",
        "connect-src https://c.example.com",
    )


@pytest.mark.parametrize(
    ("changes", "sources"),
    [
        ({"nonce": "n"}, "'nonce-n'"),
        ({"nonce": "n", "is_inline": False}, "'nonce-n'"),
        ({"is_inline": False}, "https://c.example.com"),
    ],
)
def test_the_policy_is_that_of_the_form(changes: dict[str, object], sources: str) -> None:
    snippet = SNIPPET._replace(**changes)  # type: ignore[arg-type]
    assert snippet.policy() == (f"script-src {sources}", "connect-src https://c.example.com")


def test_the_policy_is_told_for_a_name_and_not_for_an_ipv6_address_which_browsers_ignore() -> None:
    told = [f"the page's Content-Security-Policy needs: {each}" for each in SNIPPET.policy()]
    assert list(SNIPPET.policy_notes()) == told
    (note,) = SNIPPET._replace(events_url="http://[::1]:8080/event").policy_notes()
    assert "need a host name" in note


GOOD = PropertySettings(1, 2, required=("ea", "ec"), dedup="26h", origins=("https://shop.example.com",))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"required": ("ea", "ec", "uid", "aid")}, "may lack aid, uid, and are refused then"),
        ({"dedup": "off"}, "dedup is off"),
        ({"dedup": None}, "dedup is off"),
        ({"dedup": "24h"}, "dedup is only 24h"),
        ({"origins": ()}, "pages of any site"),
        ({"origins": ("https://a.example", "*")}, "pages of any site"),
        ({"write_keys": ("env:KEY",)}, "write key"),
        ({"source": "pos"}, "its source is pos"),
    ],
)
def test_what_is_wrong_with_a_property_of_pages_is_said(changes: dict[str, object], said: str) -> None:
    (hint,) = advice(replace(GOOD, **changes))
    assert said in hint
    assert "set " in hint or "remove " in hint


def test_nothing_is_said_of_a_property_that_is_right_for_pages() -> None:
    assert list(advice(GOOD)) == []
