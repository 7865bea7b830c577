"""Commands to a browser over a WebSocket. CDP and WebDriver BiDi have the same shape: `id`, `method`, `params`."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from itertools import count
from types import MappingProxyType
from typing import Any

import aiohttp

from tests.tracker.background import PATIENCE_SECONDS, Background

_NOTHING: Mapping[str, Any] = MappingProxyType({})
Listener = Callable[[str, dict[str, Any], str], None]
"""Called with method, params and session (empty without one) of each event, in the thread of the loop."""


class WireError(Exception):
    """The browser refused a command, or it is gone."""


class Wire:
    """A connection to a browser. Close it at the end."""

    def __init__(self, background: Background, url: str, listener: Listener) -> None:
        self._background = background
        self._listener = listener
        self._ids = count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session, self._socket = background.run(_connect(url))
        self._reader = asyncio.run_coroutine_threadsafe(self._read(), background.loop)

    def call(
        self,
        method: str,
        params: Mapping[str, Any] = _NOTHING,
        session: str = "",
        seconds: float = PATIENCE_SECONDS,
    ) -> dict[str, Any]:
        """The result of a command. Raises WireError, or TimeoutError without an answer."""
        return self._background.run(self._call(method, params, session), seconds)

    def close(self) -> None:
        """Close the connection. Commands that wait raise WireError."""
        self._background.run(self._close())

    async def _call(self, method: str, params: Mapping[str, Any], session: str) -> dict[str, Any]:
        number = next(self._ids)
        command: dict[str, Any] = {"id": number, "method": method, "params": dict(params)}
        if session:
            command["sessionId"] = session
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send_str(json.dumps(command))
        except ConnectionError as error:
            raise WireError(f"{method}: {error}") from error
        return await answer

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self._take(json.loads(message.data))
        for answer in self._waiting.values():
            _fail(answer, "the browser is gone")

    def _take(self, message: dict[str, Any]) -> None:
        number = message.get("id")
        if number is None:
            self._listener(message.get("method", ""), message.get("params", {}), message.get("sessionId", ""))
            return
        answer = self._waiting.pop(number)
        if "error" in message:
            _fail(answer, f"{message['error']}: {message.get('message', '')}")
        elif not answer.done():
            answer.set_result(message["result"])

    async def _close(self) -> None:
        self._reader.cancel()
        with contextlib.suppress(ConnectionError):
            await self._socket.close()
        await self._session.close()


async def _connect(url: str) -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
    session = aiohttp.ClientSession()
    return session, await session.ws_connect(url, max_msg_size=0)


def _fail(answer: asyncio.Future[dict[str, Any]], why: str) -> None:
    if not answer.done():
        answer.set_exception(WireError(why))
