"""`collector health`: for the health check of a container, whose image needs no HTTP client for it."""

import argparse
import json
from contextlib import closing
from http.client import HTTPException
from typing import Final

from collector.errors import BadSettings
from collector.ops.own_port import own_port
from collector.settings import ServerSettings, load_settings
from wal.tools.terminal import harmless

_SECONDS: Final = 5.0
_MOST_BYTES: Final = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments, but the example."""
    parser.epilog = "exit code 1: it takes no events\n\nexample: collector health --config collector.toml"


def run(options: argparse.Namespace) -> int:
    """Ask the health path of this node, and print a line."""
    server = load_settings(options.config).server
    if not server.port or not server.health_path:
        raise BadSettings(f"{options.config}: `collector health` needs a server.port and a server.health_path")
    try:
        is_ready, line = _readiness(server)
    except (OSError, HTTPException, ValueError, KeyError) as error:
        is_ready, line = False, f"no response from {server.host} port {server.port}: {error}"
    print(harmless(line))
    return 0 if is_ready else 1


def _readiness(server: ServerSettings) -> tuple[bool, str]:
    with closing(own_port(server, _SECONDS)) as connection:
        connection.request("GET", server.health_path)
        body = json.loads(connection.getresponse().read(_MOST_BYTES))
    if isinstance(body, dict) and body.get("status") == "ready":
        return True, "ready"
    if not isinstance(body, dict) or not {"reason", "message"} <= body.keys():
        raise ValueError("another program responds there")
    return False, f"not ready: {body['reason']}, {body['message']}"
