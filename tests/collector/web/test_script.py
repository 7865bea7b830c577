"""The tracker's script as it is served: its names, caches and conditions."""

import hashlib
import re
from base64 import b64decode

import pytest

from collector.errors import NotFound
from collector.http.documents import RefusesAll
from collector.http.endpoint import AnyEndpoint
from collector.http.response import Response
from collector.http.routes import Routes
from collector.web.endpoint import LONG_CACHE, SHORT_CACHE, ScriptEndpoint
from collector.web.files import load_script
from collector.web.pages import add_pages
from collector.web.script import Script
from tests.collector.live_intake import head_for, pairs_of

SCRIPT = Script(b"window.tracklog=function(){};" * 40)
SERVED = ScriptEndpoint(SCRIPT, SHORT_CACHE)


def _get(method: str = "GET", served: AnyEndpoint = SERVED, **headers: str) -> tuple[Response, dict[str, str]]:
    response = served.admit(head_for(method, "", None, **headers))
    return response, {name.decode(): value.decode() for name, value in pairs_of(response.headers)}


def test_the_hash_and_the_integrity_follow_from_the_content() -> None:
    assert re.fullmatch(r"/t\.[0-9a-f]{16}\.js", SCRIPT.hashed("/t.js"))
    assert SCRIPT.hashed("/c/hello.js") == f"/c/hello.{SCRIPT.hash}.js"
    algorithm, _, value = SCRIPT.integrity.partition("-")
    assert (algorithm, b64decode(value)) == ("sha384", hashlib.sha384(SCRIPT.body).digest())
    assert Script(SCRIPT.body + b" ").hash != SCRIPT.hash


def test_any_page_may_load_the_script_and_run_it() -> None:
    response, headers = _get()
    assert (response.status, response.body) == (200, SCRIPT.body)
    assert headers.pop("etag")
    assert headers == {
        "content-type": "text/javascript; charset=utf-8",
        "x-content-type-options": "nosniff",
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
        "cache-control": "public, max-age=3600, stale-while-revalidate=86400",
        "vary": "accept-encoding",
    }


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_compressed_script_is_told_by_its_header(encoding: str) -> None:
    response, headers = _get(accept_encoding=encoding)
    assert headers["content-encoding"] == encoding
    assert len(response.body) < len(SCRIPT.body)


def test_two_encodings_share_no_etag() -> None:
    assert len({_get(accept_encoding=encoding)[1]["etag"] for encoding in ("", "gzip", "zstd")}) == 3


@pytest.mark.parametrize("condition", ["{}", "W/{}", '"x", {}', '"x",{},"y"', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_client_that_has_the_script_gets_no_body(condition: str, method: str) -> None:
    etag = _get(accept_encoding="gzip")[1]["etag"]
    response, headers = _get(method, accept_encoding="gzip", if_none_match=condition.format(etag))
    assert (response.status, response.body, headers["etag"]) == (304, b"", etag)
    assert headers["vary"] == "accept-encoding"
    assert headers["cache-control"].startswith("public")
    assert "content-encoding" not in headers


@pytest.mark.parametrize("condition", ["", '"x"', "x", 'W/"x"', ","])
def test_another_condition_gets_the_script(condition: str) -> None:
    assert _get(if_none_match=condition)[0].status == 200


def test_the_script_in_another_encoding_is_not_the_one_that_the_client_has() -> None:
    etag = _get(accept_encoding="gzip")[1]["etag"]
    assert _get(if_none_match=etag)[0].status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS", "DELETE"])
def test_other_methods_are_refused(method: str) -> None:
    response, headers = _get(method)
    assert (response.status, headers["allow"]) == (405, "GET, HEAD")


def test_the_name_with_the_hash_is_cached_for_ever_and_an_outdated_one_is_not_found() -> None:
    routes = Routes({}, RefusesAll(NotFound().refusal))
    add_pages(routes, "/c/hello", None)
    script = load_script()
    for path in ("/t.js", "/c/hello.js"):
        assert _get(served=routes.find(path.encode()))[1]["cache-control"] == SHORT_CACHE.decode()
        hashed = routes.find(script.hashed(path).encode())
        assert _get(served=hashed)[1]["cache-control"] == LONG_CACHE.decode()
    hashed_path = script.hashed("/t.js")
    for path in ("/t", "/t.js/", "/t.0123456789abcdef.js", "/c/hello.0f.js", f"/x{hashed_path}", f"{hashed_path}x"):
        assert routes.find(path.encode()).admit(head_for("GET", "")).status == 404
