"""A client's HTTP connection: sends one request at a time and reports its response once that is whole."""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from httptools import HttpParserError, HttpResponseParser

CUT: Final = 0
"""Stands for the status of a request whose connection ended before the response."""
SECONDS_APART: Final = 0.001
"""Between two segments of a request: longer than a server's turn, so that it reads them one by one."""


class Connection(asyncio.Protocol):
    """`on_response` gets the status and the bytes of each response, or CUT; `on_lost` is called at the very end."""

    def __init__(
        self, on_response: Callable[["Connection", int, bytes], None], on_lost: Callable[["Connection"], None]
    ) -> None:
        self._on_response = on_response
        self._on_lost = on_lost
        self._parser = HttpResponseParser(self)
        self._response = b""
        self._is_waiting = False
        self._is_whole = False
        self._is_last = False
        self._transport: asyncio.WriteTransport | None = None

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, *segments: bytes) -> None:
        """Send a request, each segment in a write of its own, `SECONDS_APART` after the one before."""
        self._is_waiting = True
        self._write(segments)

    def close(self) -> None:
        """Reset the connection."""
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's transports don't subclass asyncio's

    def data_received(self, data: bytes) -> None:
        self._response = self._response + data if self._response else data
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self.close()
        if self._is_whole:
            self._report()

    def on_message_complete(self) -> None:
        """Note the end of a response, and whether the server keeps the connection: later the parser has forgotten it.

        The parser calls this. It would swallow an error of `on_response`, which is therefore called by `data_received`.
        """
        self._is_whole, self._is_last = True, not self._parser.should_keep_alive()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        if self._is_waiting:
            self._on_response(self, CUT, b"")
        self._on_lost(self)

    def _report(self) -> None:
        response, self._response = self._response, b""
        self._is_waiting = self._is_whole = False
        if self._is_last:
            self.close()
        self._on_response(self, self._parser.get_status_code(), response)

    def _write(self, segments: tuple[bytes, ...]) -> None:
        if self._transport and self.is_open:
            self._transport.write(segments[0])
            if len(segments) > 1:
                asyncio.get_running_loop().call_later(SECONDS_APART, self._write, segments[1:])
