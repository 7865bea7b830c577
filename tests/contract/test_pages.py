"""What pages load, under every server: the tracker's script under each of its names."""

import gzip

import pytest

from collector.web.files import load_script
from tests.contract.test_refusals import SETTINGS
from tests.running import Collector, running

SCRIPT = load_script()
NAMES = ["/t.js", "/c/hello.js", SCRIPT.hashed("/t.js"), SCRIPT.hashed("/c/hello.js")]


@pytest.mark.parametrize("path", [*NAMES, "/%74.js", "/t.js?v=1"])
def test_each_name_gives_the_script(collector: Collector, path: str) -> None:
    response = collector.send("GET", path)
    assert (response.status, response.body) == (200, SCRIPT.body)
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    head = collector.send("HEAD", path)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(SCRIPT.body)))


def test_a_compressed_script_is_the_same(collector: Collector) -> None:
    response = collector.send("GET", "/t.js", accept_encoding="gzip, identity;q=0")
    assert response.headers["content-encoding"] == "gzip"
    assert gzip.decompress(response.body) == SCRIPT.body


@pytest.mark.parametrize("path", NAMES)
def test_a_browser_that_has_the_script_is_told_so_and_no_length(collector: Collector, path: str) -> None:
    etag = collector.send("GET", path).headers["etag"]
    response = collector.send("GET", path, if_none_match=etag)
    assert (response.status, response.headers["etag"]) == (304, etag)
    assert "content-length" not in response.headers


def test_other_methods_are_refused(collector: Collector) -> None:
    response = collector.send("POST", "/t.js", b"x")
    assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/t.0123456789abcdef.js", "/c/hello.0123456789abcdef.js", "/demo", "/demo/shop.js"])
def test_an_outdated_name_and_a_shop_that_is_not_set_up_are_not_found(collector: Collector, path: str) -> None:
    response = collector.send("GET", path)
    assert (response.status, response.json()) == (404, {"message": "404 not found"})


def test_the_script_and_the_shop_are_served_while_no_event_can_be_taken(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    full = SETTINGS.replace("{min_free}", str(1 << 60)).replace("[server]", '[server]\ndemo = "33167.1"')
    with running(tmp_path_factory.mktemp("full"), 1, full) as collector:
        assert collector.send("GET", "/event?portal_id=33167&prop_id=1&ea=a&ec=c&sid=1&aid=a&uid=u").status == 503
        assert collector.send("GET", "/t.js").body == SCRIPT.body
        page = collector.send("GET", "/demo")
        assert page.status == 200
        assert f'"{SCRIPT.hashed("/t.js")}"'.encode() in page.body
        assert b'"33167.1"' in page.body
