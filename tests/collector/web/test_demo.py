"""The demo shop: only its files are served, under a policy that allows no inline code."""

import re

import pytest

from collector.http.documents import Document
from collector.http.response import Response
from collector.web.demo import demo_documents
from collector.web.files import load_demo
from tests.collector.live_intake import head_for, pairs_of

VALUES = {"property": "demo", "script": "/t.0a.js", "integrity": "sha384-a+/="}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def _got(document: Document, method: str = "GET") -> tuple[Response, dict[str, str]]:
    response = document.admit(head_for(method, ""))
    return response, {name.decode(): value.decode() for name, value in pairs_of(response.headers)}


def test_the_index_has_the_values_in_place_of_their_names_and_other_files_are_as_they_are() -> None:
    files = {
        "index.html": b'<script src="{{script}}" integrity="{{integrity}}" data-id="{{property}}">{{other}}',
        "shop.js": b"'{{property}}'",
    }
    served = dict(demo_documents(files, "/demo", {**VALUES, "property": '"<'}))
    page = b'<script src="/t.0a.js" integrity="sha384-a+/=" data-id="&quot;&lt;">{{other}}'
    assert {path: _got(document)[0].body for path, document in served.items()} == {
        "/demo": page,
        "/demo/": page,
        "/demo/shop.js": b"'{{property}}'",
    }


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("index.html", "text/html"),
        ("shop.css", "text/css"),
        ("shop.js", "text/javascript"),
        ("prices.csv", "text/csv"),
        ("pictures.svg", "image/svg+xml"),
    ],
)
def test_a_file_is_served_with_its_type_and_the_policy(name: str, media: str) -> None:
    (document, *_) = dict(demo_documents({name: b"x"}, "/demo", VALUES)).values()
    response, headers = _got(document)
    assert response.status == 200
    assert headers == {
        "content-type": f"{media}; charset=utf-8",
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
    }
    assert _got(document, "POST")[1]["allow"] == "GET, HEAD"


@pytest.mark.parametrize("name", ["notes.md", "shop.js.map", ".hidden", "a.py", "index.html.bak", "x"])
def test_a_file_of_another_type_is_not_served(name: str) -> None:
    assert dict(demo_documents({name: b"x"}, "/demo", VALUES)) == {}


def test_the_shop_names_the_files_that_there_are_and_has_no_inline_code() -> None:
    files = load_demo()
    page = files["index.html"].decode()
    assert set(re.findall(r"{{(\w+)}}", page)) == set(VALUES)
    named = set(re.findall(r'(?:href|src)="/demo/([\w.-]+)', page))
    assert named <= files.keys()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\s(?:on[a-z]+|style)=|javascript:", page) == []
