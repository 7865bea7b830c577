"""Reads `collector.toml`."""

import os
import tomllib
from collections.abc import Sequence

import msgspec

from collector.errors import BadSettings
from collector.settings.faults import SettingFault, read_leniently
from collector.settings.tables import Settings


def load_settings(path: str) -> Settings:
    """Read the settings in a file. Relative folders start at the file's own. Raises BadSettings with all faults."""
    settings, faults = read_settings(path)
    if faults:
        raise bad_settings(path, faults)
    return settings


def read_settings(path: str) -> tuple[Settings, list[SettingFault]]:
    """Read a file, and return its settings and faults, see `read_leniently`. Raises BadSettings if it is not TOML."""
    try:
        with open(path, "rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise BadSettings(f"{path}: {error.strerror}; name a file with --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: not TOML: {error}") from None
    settings, faults = read_leniently(values, Settings)
    return _resolved(settings, os.path.dirname(os.path.abspath(path))), faults


def bad_settings(path: str, faults: Sequence[SettingFault]) -> BadSettings:
    """An error with all faults of a file, one a line."""
    return BadSettings("\n".join(f"{path}: {fault}" for fault in faults))


def _resolved(settings: Settings, folder: str) -> Settings:
    def below(path: str) -> str:
        return os.path.join(folder, path)

    return msgspec.structs.replace(
        settings,
        log=msgspec.structs.replace(settings.log, dir=below(settings.log.dir)),
        dead_letters=msgspec.structs.replace(settings.dead_letters, dir=below(settings.dead_letters.dir)),
        sink=tuple(sink.relative_to(folder) for sink in settings.sink),
    )
