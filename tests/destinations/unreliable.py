"""A TCP proxy that passes bytes on as it is told, or drops the connection instead."""

import contextlib
import random
import socket
import socketserver
import threading
from collections.abc import Callable
from typing import Any

Passes = Callable[[bytes], bytes | None]
"""Called with each piece of bytes on its way: what goes on instead, or None to drop the connection."""


def unchanged(piece: bytes) -> bytes | None:
    """Pass everything on."""
    return piece


class Drops:
    """Drops the connection at so many of the pieces, by chance."""

    def __init__(self, share: float, seed: int) -> None:
        self.dropped = 0
        self._share = share
        self._random = random.Random(seed)

    def __call__(self, piece: bytes) -> bytes | None:
        if self._random.random() >= self._share:
            return piece
        self.dropped += 1
        return None


class Proxy(socketserver.ThreadingTCPServer):
    """Listens on `port` of 127.0.0.1 for what goes to `behind`. Close it at the end."""

    request_queue_size = 100

    def __init__(self, behind: int, *, request: Passes = unchanged, response: Passes = unchanged) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self._behind = behind
        self._request = request
        self._response = response
        self._accepted: set[socket.socket] = set()
        self.port: int = self.server_address[1]
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), name="proxy")
        self._thread.start()

    def close(self) -> None:
        """Drop every connection and stop."""
        self.shutdown()
        self._thread.join()
        for connection in list(self._accepted):
            _drop(connection)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """A connection is known before its thread begins, so that none outlives `close`."""
        self._accepted.add(request)
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Pass on what comes from either side until one of them is gone."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._behind)) as behind:
            for side in (request, behind):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            of_request, of_response = self.passes()
            responses = threading.Thread(target=_pump, args=(behind, request, of_response), name="proxy-responses")
            responses.start()
            _pump(request, behind, of_request)
            responses.join()

    def passes(self) -> tuple[Passes, Passes]:
        """The functions that pass on the requests and the responses of a new connection."""
        return self._request, self._response

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it."""
        self._accepted.remove(request)
        super().shutdown_request(request)


def _pump(source: socket.socket, target: socket.socket, passes: Passes) -> None:
    """Drops both connections at its end: when one of them is gone, or by decision."""
    try:
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                passed = passes(piece)
                if passed is None:
                    return
                target.sendall(passed)
    finally:
        _drop(source)
        _drop(target)


def _drop(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was first
        connection.shutdown(socket.SHUT_RDWR)
