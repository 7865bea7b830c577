"""The origin of the pages: the path chooses the kind of page, the query has the options of the tracker."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web

from tests.tracker.background import Background

TRACKER = Path(__file__).parents[2] / "collector/web/dist/t.js"
HOSTS = frozenset(("127.0.0.1", "localhost", "shop.test"))
"""Names of this machine. A browser finds the last one insecure, as it does http on any public name."""
_AT_ONCE = 0.01
"""Seconds for handlers to end by themselves; 0 would mean no limit."""
_NONCE = "bm9uY2U"
_STRICT = (
    f"default-src 'none'; script-src 'nonce-{_NONCE}'; connect-src {{collector}}; img-src data:; "
    "require-trusted-types-for 'script'"
)
_POLICIES: Mapping[str, str] = {
    "strict": _STRICT,
    "blocked": f"script-src 'nonce-{_NONCE}'; connect-src 'self'",
    "sandbox": "sandbox allow-scripts",
}
"""Of the pages with these paths, as the header content-security-policy."""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,"><title>{title}</title>
<script nonce="{nonce}">
window.tracklog = window.tracklog || function () {{ (tracklog.q = tracklog.q || []).push([Date.now(), arguments]) }};
window.say = message => window.tell && tell(JSON.stringify(message));
window.dropped = (event, why, detail) => say({{dropped: event.event_id, why, detail}});
window.send = (count = 1, more = {{}}) => Array.from({{length: count}}, () =>
    tracklog('track', {{ea: 'view', ec: 'product', dims: {{page: location.pathname}}, ...more}}));
window.sendAndSay = (count, more) => say({{returned: send(count, more)}});
window.device = () => {{ try {{ return {{...localStorage}} }} catch {{ return {{}} }} }};
window.queue = () => Object.keys(device()).filter(key => /^tl1:.*:e/.test(key));
{start}
</script>
<script nonce="{nonce}" src="{script}"></script></head>
<body><h1>{title}</h1></body></html>"""


class Pages:
    """Serves pages of any path on 127.0.0.1, which `localhost` and `shop.test` lead to too. Close it at the end."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._script = TRACKER.read_bytes()
        background.run(self._open())

    def url(self, path: str, options: Mapping[str, Any], host: str = "127.0.0.1", script: str = "/t.js") -> str:
        """The address of a page that starts the tracker with these options."""
        query = quote(json.dumps({"options": options, "script": script}), safe="")
        return f"http://{host}:{self.port}/{path}?{query}"

    def origins(self) -> list[str]:
        """All that a property must list."""
        return [f"http://{host}:{self.port}" for host in sorted(HOSTS)]

    def close(self) -> None:
        """Stop serving."""
        self._background.run(self._close())

    async def _open(self) -> None:
        self._server = web.Server(self._serve, access_log=None)
        self._listener = await asyncio.get_running_loop().create_server(self._server, "127.0.0.1", 0)
        self.port: int = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._listener.close()
        await self._server.shutdown(_AT_ONCE)

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        path = request.path.strip("/")
        if path == "t.js":
            return web.Response(body=self._script, content_type="text/javascript")
        if path == "hang":
            await asyncio.Event().wait()
        if not request.query_string:
            return web.Response(text=f"<title>{path}</title>", content_type="text/html")
        given = json.loads(next(iter(request.query), "{}"))
        start = f"tracklog('init', {{...{json.dumps(given['options'])}, onDrop: dropped}});"
        text = _PAGE.format(title=path, nonce=_NONCE, start=start, script=given["script"])
        return web.Response(text=text, content_type="text/html", headers=_policy(path, given["options"]))


def _policy(path: str, options: Mapping[str, Any]) -> dict[str, str]:
    if path not in _POLICIES:
        return {}
    return {"content-security-policy": _POLICIES[path].format(collector=options["url"].removesuffix("/event"))}
