"""A TCP proxy that keeps every byte that a server sends, and has the browser ask for plain ones."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer

_PIECE_BYTES = 1 << 16


class Recorder(ThreadingTCPServer):
    """The proxy of a port of this machine."""

    daemon_threads = True

    def __init__(self, upstream: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.upstream = upstream
        self.port: int = self.server_address[1]
        self.sent = bytearray()
        """All that the server has sent, connection after connection where they do not overlap."""


@contextmanager
def recording(upstream: int) -> Iterator[Recorder]:
    """A proxy that serves until the end."""
    with Recorder(upstream) as recorder:
        thread = threading.Thread(target=recorder.serve_forever)
        thread.start()
        try:
            yield recorder
        finally:
            recorder.shutdown()
            thread.join()


class _Connection(BaseRequestHandler):
    server: Recorder

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.upstream)) as upstream:
            thread = threading.Thread(target=self._answer, args=(upstream,), daemon=True)
            thread.start()
            with suppress(OSError):
                while piece := self.request.recv(_PIECE_BYTES):
                    upstream.sendall(piece.replace(b"Accept-Encoding: ", b"X-Without-Use-: "))
                upstream.shutdown(socket.SHUT_WR)
            thread.join()

    def _answer(self, upstream: socket.socket) -> None:
        with suppress(OSError):
            while piece := upstream.recv(_PIECE_BYTES):
                self.server.sent += piece
                self.request.sendall(piece)
