"""Connections to a receiver. One is reused only if it has received no bytes since the last response."""

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace


class Connector(aiohttp.TCPConnector):
    """As aiohttp's, which would take bytes that nobody asked for as the response to the next request.

    A second 200 would then confirm a batch that the receiver never read.
    """

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        for idle, _ in self._conns.get(key, ()):
            if idle.should_close:
                idle.close()
        return await super()._get(key, traces)
