"""`app` for any ASGI server: `TRACKLOG_CONFIG=collector.toml uvicorn collector.asgi:app`.

One worker, on the first free shard. The contract is that of `collector serve`. The HTTP protocol is the server's, which
takes more CPU for a request than ours. A start that fails is told on stderr, and the server does not serve.
"""

from typing import Final

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from collector.app import create_app
from collector.errors import BadSettings
from collector.process_log.of_processes import StartFailed
from collector.settings import load_settings
from collector.settings.environment import read_value


class _App:
    """The application. It opens its shard when its lifespan starts, because that needs the event loop."""

    _app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the lifespan, or a request."""
        if scope["type"] == "lifespan":
            self._app = _created() or _fail_to_start
        await self._app(scope, receive, send)


async def _fail_to_start(_: Scope, receive: Receive, send: Send) -> None:
    """Have the server end. If the lifespan raised, uvicorn would serve all the same."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the collector can't start"})


def _created() -> Starlette | None:
    """The application, or None if it can't start: the reason is in the process log then."""
    try:
        return create_app(load_settings(read_value("the settings file", "env:TRACKLOG_CONFIG")))
    except (BadSettings, OSError) as error:
        for line in str(error).splitlines():
            StartFailed(line).write()
    except SystemExit:
        pass
    return None


app: Final = _App()
