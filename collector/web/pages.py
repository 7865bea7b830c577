"""The routes for pages: each name of the tracker's script, and the demo shop. They are served without a log, too."""

import re
from typing import Final

from collector.http.routes import Routes
from collector.settings import DEMO_PATH, SCRIPT_PATH
from collector.web.demo import demo_documents
from collector.web.endpoint import LONG_CACHE, SHORT_CACHE, ScriptEndpoint
from collector.web.files import load_demo, load_script
from collector.web.script import Script

_HASHED: Final = b"hashed-script"
"""The route of the names with a hash; metrics have it as their path, so that a new version is no new series."""


def add_pages(routes: Routes, alias: str | None, demo: str | None) -> None:
    """Add the routes for pages. `alias`: another path for events; `demo`: public id of the demo shop's property."""
    script = load_script()
    paths = script_paths(alias)
    for path in paths:
        routes.replace(path.encode(), ScriptEndpoint(script, SHORT_CACHE))
    hashed = b"|".join(re.escape(script.hashed(path).encode()) for path in paths)
    routes.replace(_HASHED, ScriptEndpoint(script, LONG_CACHE))
    routes.match(_HASHED, re.compile(hashed))
    if demo is not None:
        _add_demo(routes, script, demo)


def script_paths(alias: str | None) -> tuple[str, ...]:
    """The paths of the script, the one that ad blockers are least likely to know last."""
    return (SCRIPT_PATH, f"{alias}.js") if alias else (SCRIPT_PATH,)


def _add_demo(routes: Routes, script: Script, public_id: str) -> None:
    values = {"property": public_id, "script": script.hashed(SCRIPT_PATH), "integrity": script.integrity}
    for path, document in demo_documents(load_demo(), DEMO_PATH, values):
        routes.replace(path.encode(), document)
