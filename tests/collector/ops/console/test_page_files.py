"""The files of the page as they are served."""

import re
from gzip import decompress

import pytest
from starlette.types import ASGIApp

from collector.ops.console.page_files import VIEWS, load_page
from collector.settings import Settings
from tests.collector.ops.console.asking import OWN, admin_app, asked


@pytest.fixture(scope="module")
def app() -> ASGIApp:
    """Of a node on loopback."""
    return admin_app(Settings())


def test_every_view_has_the_shell_and_its_links_lead_to_files_under_their_hash(app: ASGIApp) -> None:
    (shell,) = {asked(app, re.sub(r"\{\w+\}", "x", view)).body for view in VIEWS}
    linked = re.findall(rb'(?:href|src)="(/assets/[^"]+)"', shell)
    assert linked
    for path in linked:
        response = asked(app, path.decode())
        assert response.status == 200
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.body == load_page()[path.rpartition(b"/")[2].decode()]
    assert asked(app, "/live").headers["cache-control"] == "no-store"


def test_a_client_gets_the_encoding_that_it_takes(app: ASGIApp) -> None:
    plain = asked(app, "/live")
    packed = asked(app, "/live", (*OWN, ("accept-encoding", "gzip")))
    assert "content-encoding" not in plain.headers
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "accept-encoding")
    assert decompress(packed.body) == plain.body


def test_a_changed_file_changes_the_path_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def folder(css: bytes) -> bytes:
        page = {
            "index.html": b'<link href="/assets/console.css"><a href="/now">',
            "console.css": css,
            "notes.md": b"not served",
        }
        monkeypatch.setattr("collector.ops.console.app.load_page", lambda: page)
        app = admin_app(Settings())
        found = re.fullmatch(rb'<link href="(/assets/[0-9a-f]{16}/)console\.css"><a href="/now">', asked(app, "/").body)
        assert found
        assert asked(app, f"{found[1].decode()}notes.md").status == 404
        return found[1]

    assert folder(b"a{}") == folder(b"a{}") != folder(b"b{}")
