"""`collector.toml` as frozen structs, and the only reader of `env:NAME`. Knows neither requests nor sinks' clients."""

from collector.settings.tables import (
    EVENT_FIELDS,
    EVENT_PATHS,
    OPENAPI_PATH,
    RELAY_PATH,
    DeadLetters,
    Identifier,
    Limits,
    Log,
    Property,
    Server,
    Session,
    Settings,
    bad_settings,
    load_settings,
    read_settings,
)

__all__ = [
    "EVENT_FIELDS",
    "EVENT_PATHS",
    "OPENAPI_PATH",
    "RELAY_PATH",
    "DeadLetters",
    "Identifier",
    "Limits",
    "Log",
    "Property",
    "Server",
    "Session",
    "Settings",
    "bad_settings",
    "load_settings",
    "read_settings",
]
