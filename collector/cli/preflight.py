"""Checks what `serve` needs beside a sound settings file: environment variables, folders, libraries, an address.

It creates, binds and connects nothing, so that `check` can run while a collector serves.
"""

import os
import socket
from collections.abc import Iterator
from typing import Final

from collector.errors import BadSettings
from collector.ingest.policy.write_keys import key_digest
from collector.server.tls import certificate_faults
from collector.settings import ReadSettings, Settings, bad_settings, read_settings
from collector.settings.environment import read_value
from collector.settings.faults import SettingFault, add_faults, has_fault
from collector.settings.secret import load_secret, secret_path
from collector.settings.sinks import SinkSettings
from collector.ship.sinks import sink_of

_NAME_BYTES: Final = 255
_PATH_BYTES: Final = 4096 - 2 * (_NAME_BYTES + 1)
"""Linux allows these, and what the collector makes in a folder has names, too."""


def load_settings_to_serve(path: str) -> Settings:
    """Read the settings for a start. Raises BadSettings with all faults, one a line."""
    read = _read_with_needs(path)
    if read.faults:
        raise bad_settings(read.origins, read.faults)
    return read.settings


def load_settings_to_check(path: str) -> ReadSettings:
    """Read the settings for `check`: also whether sinks can write to their folders, and names have addresses.

    A start does not check that: a disk that is away delays a sink, and must not stop intake. Names that can't be looked
    up now are tried again by restarts.
    """
    read = _read_with_needs(path)
    settings, faults = read.settings, read.faults
    add_faults(faults, list(_addresses(settings)))
    for name, folder in _data_folders(settings):
        add_faults(faults, list(_writable(name, folder)))
    for at, sink in enumerate(settings.sink):
        add_faults(faults, list(_sink_folder(f"sink[{at}]", sink)))
    if faults:
        raise bad_settings(read.origins, faults)
    return read


def _read_with_needs(path: str) -> ReadSettings:
    read = read_settings(path)
    settings, faults = read.settings, read.faults
    for at, sink in enumerate(settings.sink):
        if not has_fault(faults, f"sink[{at}]"):
            add_faults(faults, list(_sink(f"sink[{at}]", sink)))
    add_faults(faults, list(_needs(settings)))
    return read


def _needs(settings: Settings) -> Iterator[SettingFault]:
    yield from _addresses(settings, passing=(socket.EAI_AGAIN,))
    yield from certificate_faults(settings.server)
    yield from _keys(settings)
    yield from _secret(settings)
    for name, folder in _data_folders(settings):
        yield from _folder(name, folder)


def _data_folders(settings: Settings) -> tuple[tuple[str, str], ...]:
    return (
        ("log.dir", settings.log.dir),
        ("dead_letters.dir", settings.dead_letters.dir),
        ("dedup.dir", settings.dedup.dir),
        *([("admin.dir", settings.admin.dir)] if settings.admin.enabled else []),
    )


def _addresses(settings: Settings, passing: tuple[int, ...] = ()) -> Iterator[SettingFault]:
    """Yield a fault for each address that can't be looked up, but for errors with a number in `passing`."""
    yield from _address("server.host", settings.server.host, settings.server.port, passing)
    if settings.admin.enabled:
        yield from _address("admin.host", settings.admin.host, settings.admin.port, passing)


def _address(setting: str, host: str, port: int, passing: tuple[int, ...]) -> Iterator[SettingFault]:
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        if not isinstance(error, OSError) or error.errno not in passing:
            yield SettingFault(setting, f"expected an address of this machine, such as 127.0.0.1 or ::, got {host!r}")


def _keys(settings: Settings) -> Iterator[SettingFault]:
    keys = [(f"server.relay_keys[{at}]", key) for at, key in enumerate(settings.server.relay_keys)]
    if settings.admin.enabled and settings.admin.token:
        keys.append(("admin.token", settings.admin.token))
    for number, prop in enumerate(settings.property):
        keys += [(f"property[{number}].write_keys[{at}]", key) for at, key in enumerate(prop.write_keys)]
    for path, key in keys:
        try:
            key_digest(path, key)
        except BadSettings as error:
            yield SettingFault(path, str(error).removeprefix(f"{path}: "))


def _secret(settings: Settings) -> Iterator[SettingFault]:
    """Read a secret that exists; one that `serve` would generate needs a folder."""
    path = secret_path(settings)
    if settings.session.secret is None and not os.path.exists(path):
        yield from _folder("log.dir", os.path.dirname(path))
        return
    try:
        load_secret(settings)
    except (BadSettings, OSError, UnicodeError) as error:
        reason = f"{path}: expected ASCII text" if isinstance(error, UnicodeError) else str(error)
        yield SettingFault("session.secret", reason.removeprefix("session.secret: "))


def _sink(path: str, sink: SinkSettings) -> Iterator[SettingFault]:
    missing = list(_missing_variables(path, sink))
    yield from missing
    if not missing:
        try:
            sink_of(sink, sink.name)
        except BadSettings as error:
            yield SettingFault(path, str(error))


def _sink_folder(path: str, sink: SinkSettings) -> Iterator[SettingFault]:
    for setting, folder in sink.folders().items():
        yield from _folder(f"{path}.{setting}", folder)


def _writable(setting: str, path: str) -> Iterator[SettingFault]:
    """A disk must not be mounted read-only. A start leaves that to the workers, which know a failed disk."""
    there = _existing(path)
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        yield SettingFault(
            setting, f"expected a folder that can be written to, but the disk of {there} is mounted read-only"
        )


def _missing_variables(path: str, sink: SinkSettings) -> Iterator[SettingFault]:
    """Yield a fault for each `env:NAME` of a sink whose variable is not set."""
    for table, values in sink.environment().items():
        for name, value in values.items():
            where = f"{path}.{table}.{name}"
            try:
                read_value(where, value)
            except BadSettings as error:
                yield SettingFault(where, str(error).removeprefix(f"{where}: "))


def _folder(setting: str, path: str) -> Iterator[SettingFault]:
    """A folder must be writable, or the nearest existing folder above it."""
    there = _existing(path)
    if _is_too_long(path):
        yield SettingFault(
            setting, f"expected names of at most {_NAME_BYTES} bytes, and at most {_PATH_BYTES:,} in the whole path"
        )
    elif not os.path.isdir(there):
        yield SettingFault(setting, f"expected a folder, but {there} is not one")
    elif not os.access(there, os.W_OK | os.X_OK) and not os.statvfs(there).f_flag & os.ST_RDONLY:
        yield SettingFault(setting, f"expected a folder that can be written to, but {there} cannot: Permission denied")


def _is_too_long(path: str) -> bool:
    whole = os.fsencode(os.path.abspath(path))
    return len(whole) > _PATH_BYTES or any(len(name) > _NAME_BYTES for name in whole.split(b"/"))


def _existing(path: str) -> str:
    """The path, or the nearest existing path above it."""
    there = os.path.abspath(path)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    return there
