"""Faults of settings that name one place twice: two owners of a folder take each other's files, or of a port, fail."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from collector.settings.faults import SettingFault

if TYPE_CHECKING:
    from collector.settings.tables import Settings


def shared_places(settings: "Settings") -> Iterator[SettingFault]:
    """The faults of folders, compared by their paths, of URLs of buckets, and of ports."""
    first: dict[str, str] = {}
    for setting, path in _folders(settings):
        if (other := first.setdefault(os.path.normpath(path), setting)) != setting:
            yield SettingFault(setting, "expected a folder of its own, got that of {other}", (setting, other), other)
    admin, server = settings.admin, settings.server
    if admin.enabled and admin.port and (admin.host, admin.port) == (server.host, server.port):
        reads = ("admin.host", "admin.port", "server.host", "server.port")
        yield SettingFault("admin.port", "expected a port of its own, got that of {other}", reads, "server.port")


def _folders(settings: "Settings") -> Iterator[tuple[str, str]]:
    yield "log.dir", settings.log.dir
    yield "dead_letters.dir", settings.dead_letters.dir
    yield "dedup.dir", settings.dedup.dir
    yield "admin.dir", settings.admin.dir
    for at, sink in enumerate(settings.sink):
        yield from ((f"sink[{at}].{name}", path) for name, path in sink.places().items() if path)
