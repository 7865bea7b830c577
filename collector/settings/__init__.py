"""`collector.toml` as frozen structs, and the only reader of `env:NAME`. Knows neither requests nor sinks' clients."""

from collector.settings.admin import AdminSettings
from collector.settings.dedup import DedupSettings
from collector.settings.fields import DEMO_PATH, EVENT_PATHS, OPENAPI_PATH, RELAY_PATH, SCRIPT_PATH, Identifier, Name
from collector.settings.load import ReadSettings, bad_settings, load_settings, read_settings
from collector.settings.log import LogSettings
from collector.settings.properties import EVENT_FIELDS, PropertySettings
from collector.settings.tables import (
    DeadLetterSettings,
    Limits,
    ServerSettings,
    SessionSettings,
    Settings,
)

__all__ = [
    "DEMO_PATH",
    "EVENT_FIELDS",
    "EVENT_PATHS",
    "OPENAPI_PATH",
    "RELAY_PATH",
    "SCRIPT_PATH",
    "AdminSettings",
    "DeadLetterSettings",
    "DedupSettings",
    "Identifier",
    "Limits",
    "LogSettings",
    "Name",
    "PropertySettings",
    "ReadSettings",
    "ServerSettings",
    "SessionSettings",
    "Settings",
    "bad_settings",
    "load_settings",
    "read_settings",
]
