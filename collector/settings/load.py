"""Reads `collector.toml`, the files that it includes, and the environment variables that override settings."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from collector.errors import BadSettings
from collector.settings.environment import override_variables
from collector.settings.faults import SettingFault, read_leniently
from collector.settings.include import PropertyFile, read_included, read_toml
from collector.settings.origins import Origins
from collector.settings.overrides import Overrides, read_overrides
from collector.settings.tables import Settings


class ReadSettings(NamedTuple):
    """Settings as read, their faults, see `read_leniently`, and where each value comes from."""

    settings: Settings
    faults: list[SettingFault]
    origins: Origins


def load_settings(path: str) -> Settings:
    """Read the settings in a file. Relative folders start at the file's own. Raises BadSettings with all faults."""
    read = read_settings(path)
    if read.faults:
        raise bad_settings(read.origins, read.faults)
    return read.settings


def read_settings(path: str) -> ReadSettings:
    """Read a file, what it includes, and overrides. Raises BadSettings if the file itself can't be read."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        folder.encode()  # the digest has the folders of the settings, which are below it
        values = read_toml(path)
    except UnicodeEncodeError:
        raise BadSettings(
            f"{folder}: the name of this folder is not UTF-8; move the settings file to another"
        ) from None
    except OSError as error:
        raise BadSettings(f"{path}: {error.strerror}; name a file with --config") from None
    except ValueError as error:
        raise BadSettings(f"{path}: {error}") from None
    files, faults = read_included(values.get("include"), os.path.dirname(path))
    overrides = read_overrides(override_variables())
    _apply(overrides, values)
    origins = _with_properties(path, values, files, overrides.variables)
    settings, found = read_leniently(origins.values, Settings)
    wrong = {fault.path for fault in overrides.faults}
    faults += overrides.faults + [fault for fault in found if fault.path not in wrong]
    return ReadSettings(_resolved(settings, folder), faults, origins)


def bad_settings(origins: Origins, faults: Sequence[SettingFault]) -> BadSettings:
    """An error with all faults, one a line."""
    return BadSettings("\n".join(origins.line(fault) for fault in faults))


def _apply(overrides: Overrides, values: dict[str, Any]) -> None:
    """Put the overrides into the tables. A table that is not one stays for the fault that it gets."""
    for path, value in overrides.values.items():
        table, _, name = path.partition(".")
        if isinstance(values.setdefault(table, {}), dict):
            values[table][name] = value


def _with_properties(
    path: str, values: dict[str, Any], files: list[PropertyFile], variables: Mapping[str, str]
) -> Origins:
    """The tables with the properties of all files in one array."""
    properties = values.get("property", [])
    if not isinstance(properties, list):  # it gets a fault
        return Origins([path], [0], values, variables)
    merged, first = list(properties), [0]
    for file in files:
        first.append(len(merged))
        merged += file.properties
    return Origins([path, *(file.path for file in files)], first, values | {"property": merged}, variables)


def _resolved(settings: Settings, folder: str) -> Settings:
    def below(path: str) -> str:
        return os.path.join(folder, path)

    def below_if_set(path: str | None) -> str | None:
        return path and below(path)

    server = settings.server
    return msgspec.structs.replace(
        settings,
        server=msgspec.structs.replace(
            server, tls_certificate=below_if_set(server.tls_certificate), tls_key=below_if_set(server.tls_key)
        ),
        admin=msgspec.structs.replace(settings.admin, dir=below(settings.admin.dir)),
        log=msgspec.structs.replace(settings.log, dir=below(settings.log.dir)),
        dedup=msgspec.structs.replace(settings.dedup, dir=below(settings.dedup.dir)),
        dead_letters=msgspec.structs.replace(settings.dead_letters, dir=below(settings.dead_letters.dir)),
        sink=tuple(sink.relative_to(folder) for sink in settings.sink),
    )
