"""`collector health`: for the health check of a container, whose image needs no HTTP client for it."""

import argparse
import json
import ssl
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final

from collector.errors import BadSettings
from collector.settings import ServerSettings, load_settings

_SECONDS: Final = 5.0
_MOST_BYTES: Final = 4096
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  the addresses that stand for all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments, but the example."""
    parser.epilog = "exit code 1: it takes no events\n\nexample: collector health --config collector.toml"


def run(options: argparse.Namespace) -> int:
    """Ask the health path of this node, and print a line."""
    server = load_settings(options.config).server
    if not server.port or not server.health_path:
        raise BadSettings(f"{options.config}: `collector health` needs a server.port and a server.health_path")
    try:
        is_ready, line = _asked(server)
    except (OSError, HTTPException, ValueError, KeyError) as error:
        is_ready, line = False, f"no response from {server.host} port {server.port}: {error}"
    print(line)
    return 0 if is_ready else 1


def _asked(server: ServerSettings) -> tuple[bool, str]:
    with closing(_connection(server)) as connection:
        connection.request("GET", server.health_path)
        body = json.loads(connection.getresponse().read(_MOST_BYTES))
    is_ready = body["status"] == "ready"
    return is_ready, "ready" if is_ready else f"not ready: {body['reason']}, {body['message']}"


def _connection(server: ServerSettings) -> HTTPConnection:
    host = _LOOPBACK.get(server.host, server.host)
    if not server.tls_certificate:
        return HTTPConnection(host, server.port, timeout=_SECONDS)
    context = ssl.create_default_context()
    context.check_hostname = False  # the certificate has the name that clients use, which is not this address
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(host, server.port, timeout=_SECONDS, context=context)
