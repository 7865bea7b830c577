"""`collector snippet`: the tags on stdout, hints on stderr."""

from pathlib import Path

import pytest

from collector.cli import main
from collector.web.files import load_script

SCRIPT = load_script()
PAGES = 'required = ["ea", "ec"]\ndedup = "26h"\norigins = ["https://shop.example.com"]\n'
SETTINGS = f"""
[server]
port = 8090
[[property]]
portal_id = 33167
prop_id = 1
id = "shop"
{PAGES}
[[property]]
portal_id = 33167
prop_id = 2
"""


def _run(folder: Path, *arguments: str, settings: str = SETTINGS) -> int:
    path = folder / "c.toml"
    path.write_text(settings)
    return main(["snippet", "--config", str(path), *arguments])


@pytest.mark.parametrize("name", ["shop", "33167/1", "33167.1"])
def test_a_property_is_named_by_its_public_id_or_by_its_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert _run(tmp_path, "--property", name, "--url", "https://c.example.com/") == 0
    out = capsys.readouterr().out
    assert '{"url":"https://c.example.com/event","id":"shop","pages":true}' in out
    assert f'<script async src="https://c.example.com{SCRIPT.hashed("/t.js")}" integrity="{SCRIPT.integrity}"' in out


def test_the_tags_have_the_alias_which_ad_blockers_do_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = SETTINGS.replace("[server]", '[server]\nalias = "/c/hello"')
    assert _run(tmp_path, "--property", "shop", "--url", "https://c.example.com/x", settings=settings) == 0
    out = capsys.readouterr().out
    assert '"url":"https://c.example.com/x/c/hello"' in out
    assert f'src="https://c.example.com/x{SCRIPT.hashed("/c/hello.js")}"' in out


def test_the_tag_without_inline_code_carries_the_nonce(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(tmp_path, "--property", "shop", "--no-inline", "--nonce", "{{ nonce }}") == 0
    out = capsys.readouterr().out
    assert out.count("<script") == 1
    assert 'nonce="{{ nonce }}" data-url="http://127.0.0.1:8090/event" data-id="shop"' in out


def test_hints_are_few_for_a_property_that_is_right_for_pages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path, "--property", "shop", "--url", "https://c.example.com", "--no-inline") == 0
    hints = capsys.readouterr().err.splitlines()
    assert all(hint.startswith("collector: note: ") for hint in hints)
    assert not any("property shop" in hint or "--url" in hint for hint in hints)
    assert "collector: note: the page's Content-Security-Policy needs: script-src https://c.example.com" in hints


def test_each_thing_that_is_wrong_with_a_property_is_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(tmp_path, "--property", "33167.2", "--url", "http://c.example.com") == 0
    err = capsys.readouterr().err
    for hint in ("required", "dedup is off", "pages of any site", "pages over HTTPS", "consent is pending"):
        assert hint in err


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://localhost:8090"), ("::1", "http://[::1]:8090"), ("node-1", "http://node-1:8090")],
)
def test_without_a_url_it_is_the_node_s_own_and_a_hint_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], host: str, url: str
) -> None:
    settings = SETTINGS.replace("[server]", f'[server]\nhost = "{host}"')
    assert _run(tmp_path, "--property", "shop", settings=settings) == 0
    out, err = capsys.readouterr()
    assert f'"url":"{url}/event"' in out
    assert f"{url} is the address by server.host" in err


@pytest.mark.parametrize(
    "url",
    [
        "c.example.com",
        "ftp://c.example.com",
        "https://",
        "https://u:p@c.example.com",
        "https://c.example.com/?a",
        'https://c.example.com/"><script>',
        "https://c.example.com\n",
        "javascript:alert(1)",
    ],
)
def test_a_url_that_is_none_of_a_node_is_a_wrong_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    assert _run(tmp_path, "--property", "shop", "--url", url) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("collector: --url: expected a URL such as")


def test_an_unknown_property_is_an_error_that_lists_the_public_ids(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path, "--property", "shp") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "no property 'shp'" in err
    assert "its public ids are shop, 33167.2; did you mean `shop`?" in err


def test_of_many_public_ids_an_error_lists_some(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = "".join(f"[[property]]\nportal_id = 1\nprop_id = {number}\n" for number in range(1, 51))
    assert _run(tmp_path, "--property", "x", settings=many) == 1
    assert capsys.readouterr().err.rstrip().endswith("1.20 and 30 more")
    assert _run(tmp_path, "--property", "x", settings="") == 1
    assert "it has no property" in capsys.readouterr().err
