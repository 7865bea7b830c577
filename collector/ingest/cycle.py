"""A request and its answer on a connection: uvicorn's cycle, but that it costs little until an application is asked."""

import asyncio
import urllib.parse
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from collector.ingest.head import Head

CYCLE: Final = "tracklog.cycle"
"""Where a scope holds what its answer goes through."""
IS_LATE: Final = "tracklog.is_late"
"""Stands in the scope of a request whose body did not arrive in time."""


class Cycle(RequestResponseCycle):
    """What a request needs to be answered; `prepare` adds what ASGI has beside that, at 3 us."""

    disconnected = False
    more_body = True
    response_started = False
    response_complete = False
    body = b""  # type: ignore[assignment]
    message_event = asyncio.Event()
    """Nobody waits for this one."""

    def __init__(  # uvicorn's is called by `prepare`
        self, connection: HttpToolsProtocol, head: Head, version: str, *, keep_alive: bool, waits_for_100: bool
    ) -> None:
        self.connection = connection
        self.head = head
        self.version = version
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = waits_for_100
        self.is_prepared = False

    def prepare(self) -> None:
        """Make what an application is asked with. Idempotent."""
        if self.is_prepared:
            return
        self.is_prepared = True
        connection, head = self.connection, self.head
        body, more_body, disconnected = self.body, self.more_body, self.disconnected
        super().__init__(
            scope={
                "type": "http",
                "asgi": {"version": connection.asgi_version, "spec_version": "2.3"},
                "http_version": self.version,
                "server": connection.server,
                "client": connection.client,
                "scheme": connection.scheme or "http",
                "method": head.method,
                "root_path": "",
                "path": urllib.parse.unquote(head.path.decode("ascii")),
                "raw_path": head.path,
                "query_string": head.query,
                "headers": head.headers,
                "state": connection.app_state,
                CYCLE: self,  # type: ignore[typeddict-unknown-key]
            },
            transport=connection.transport,
            flow=connection.flow,
            logger=connection.logger,
            access_logger=connection.access_logger,
            access_log=connection.access_log,
            default_headers=connection.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.waiting_for_100_continue,
            keep_alive=self.keep_alive,
            on_response=connection.on_response_complete,
        )
        self.body += body
        self.more_body, self.disconnected = more_body, disconnected
        if body or not more_body:
            self.message_event.set()

    def expire(self) -> None:
        """Tell the application that the rest of the body is not waited for; its answer ends the connection."""
        self.prepare()
        self.keep_alive = False
        self.scope[IS_LATE] = True  # type: ignore[typeddict-unknown-key]
        self.message_event.set()
