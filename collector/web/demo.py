"""The demo shop: its static files as they are served. The page has no inline code, so that a strict CSP holds."""

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import PurePosixPath
from typing import Final

from collector.http.documents import Document
from collector.http.response import HeaderLines

_INDEX: Final = "index.html"
_TYPES: Final = {
    ".css": b"text/css",
    ".csv": b"text/csv",
    ".html": b"text/html",
    ".js": b"text/javascript",
    ".svg": b"image/svg+xml",
}
"""The types that are served, by suffix. A file of another one is not."""
_HEADERS: Final[HeaderLines] = (
    b"cache-control: no-cache\r\n"
    b"x-content-type-options: nosniff\r\n"
    b"content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'\r\n"
)


def demo_documents(
    files: Mapping[str, bytes], folder: str, values: Mapping[str, str]
) -> Iterator[tuple[str, Document]]:
    """Yield the path of each file with its document. The index is at `folder`; `values` replace `{{name}}` in it."""
    for name, body in files.items():
        media = _TYPES.get(PurePosixPath(name).suffix)
        if media is None:
            continue
        headers = b"content-type: %b; charset=utf-8\r\n" % media + _HEADERS
        if name == _INDEX:
            page = Document(_filled(body, values), headers)
            yield folder, page
            yield f"{folder}/", page
        else:
            yield f"{folder}/{name}", Document(body, headers)


def _filled(page: bytes, values: Mapping[str, str]) -> bytes:
    for name, value in values.items():
        page = page.replace(b"{{%b}}" % name.encode(), escape(value).encode())
    return page
