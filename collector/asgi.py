"""`app` for any ASGI server: `TRACKLOG_CONFIG=collector.toml uvicorn collector.asgi:app`.

One worker, on the first free shard. The contract is that of `collector serve`. The HTTP protocol is the server's, which
takes more CPU for a request than ours.
"""

import sys
from typing import Final

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from collector.app import create_app
from collector.errors import BadSettings
from collector.process_log.of_processes import StartFailed
from collector.server.exit_codes import STARTUP_FAILURE
from collector.settings import load_settings
from collector.settings.environment import read_value


class _App:
    """The application. It opens its shard when its lifespan starts, because that needs the event loop."""

    _app: Starlette

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the lifespan, or a request."""
        if scope["type"] == "lifespan":
            self._app = _create()
        await self._app(scope, receive, send)


def _create() -> Starlette:
    try:
        return create_app(load_settings(read_value("the settings file", "env:TRACKLOG_CONFIG")))
    except (BadSettings, OSError) as error:
        for line in str(error).splitlines():
            StartFailed(line).write()
        sys.exit(STARTUP_FAILURE)


app: Final = _App()
