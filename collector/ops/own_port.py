"""A connection of this node to its own event port, as a client. Blocks."""

import ssl
from http.client import HTTPConnection, HTTPSConnection
from typing import Final

from collector.settings import ServerSettings

_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  the addresses that stand for all


def own_port(server: ServerSettings, seconds: float) -> HTTPConnection:
    """A connection, which opens at the first request and waits at most so many seconds for each part of it."""
    host = _LOOPBACK.get(server.host, server.host)
    if not server.tls_certificate:
        return HTTPConnection(host, server.port, timeout=seconds)
    context = ssl.create_default_context()
    context.check_hostname = False  # the certificate has the name that clients use, which is not this address
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(host, server.port, timeout=seconds, context=context)
