"""The files of the page as they are served: from memory, under a name that follows from their content.

All of them share one hash, which is a folder of the path, so that modules import each other by relative names. The
shell, `index.html`, is at the address of every view; its links `/assets/NAME` get the hash. No request reaches the
file system.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.web.encodings import chosen, encodings_of

VIEWS: Final = (
    "/",
    "/live",
    "/event/{id}",
    "/now",
    "/accounts",
    "/log",
    "/log/{shard}",
    "/log/{shard}/{segment}",
    "/dead",
    "/dead/{id}",
    "/replay",
    "/try",
)
_SHELL: Final = "index.html"
_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
"""The types that are served, by suffix. A file of another one is not."""
_HASH_DIGITS: Final = 16
_IMMUTABLE: Final = {"cache-control": "public, max-age=31536000, immutable"}
_Endpoint = Callable[[Request], Awaitable[Response]]


def load_page() -> dict[str, bytes]:
    """The files of the page by their names."""
    return {file.name: file.read_bytes() for file in (files(__package__) / "page").iterdir() if file.is_file()}


def page_routes(page: Mapping[str, bytes]) -> Iterator[Route]:
    """Yield the routes of the views, and of each file."""
    served = {name: body for name, body in page.items() if PurePosixPath(name).suffix in _TYPES}
    folder = f"/assets/{_digest(served)}/"
    shell = _endpoint(_SHELL, served.pop(_SHELL).replace(b'"/assets/', b'"%b' % folder.encode()), {})
    yield from (Route(view, shell) for view in VIEWS)
    yield from (Route(folder + name, _endpoint(name, body, _IMMUTABLE)) for name, body in served.items())


def _digest(page: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, body in sorted(page.items()):
        digest.update(b"%b\0%d\0%b" % (name.encode(), len(body), body))
    return digest.hexdigest()[:_HASH_DIGITS]


def _endpoint(name: str, body: bytes, headers: Mapping[str, str]) -> _Endpoint:
    encodings = encodings_of(body)
    media = f"{_TYPES[PurePosixPath(name).suffix]}; charset=utf-8"

    async def serve(request: Request) -> Response:
        coding, encoded = chosen(encodings, request.headers.get("accept-encoding", "").encode("latin-1"))
        coded = {} if coding == b"identity" else {"content-encoding": coding.decode()}
        return Response(encoded, 200, {**headers, **coded, "vary": "accept-encoding", "content-type": media})

    return serve
