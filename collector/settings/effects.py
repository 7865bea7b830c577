"""How a changed setting comes into effect. One table decides for all settings."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Effect(StrEnum):
    """How a reload applies a changed setting."""

    SWAPPED = "swapped"
    """Each worker takes the new value between two requests."""
    ROLLED = "rolled"
    """One worker at a time drains and is replaced, so that the socket is served all the time."""
    RESTART = "restart"
    """Only a restart of the whole collector applies it; the reload says so."""


SETTINGS: Final[Mapping[Effect, frozenset[str]]] = {
    Effect.SWAPPED: frozenset(
        {
            "include",
            "property",
            "limits.event_bytes",
            "limits.body_bytes",
            "limits.batch_events",
            "limits.inflation_ratio",
            "limits.url_bytes",
            "limits.nesting",
            "limits.header_seconds",
            "limits.body_seconds",
            "limits.connections_per_address",
            "limits.in_flight_bytes",
            "admin.hosts",  # each accepted reload replaces the admin process
            "admin.allow_actions",
            "admin.redact",
        }
    ),
    Effect.ROLLED: frozenset(
        {
            "sink",
            "limits.connections",  # the supervisor raises RLIMIT_NOFILE, which only new workers inherit
            "admin.token",
            "process_log.format",
            "process_log.level",
            "server.grace_seconds",
            "server.shutdown_delay",
            "server.alias",
            "server.demo",
            "server.health_path",
            "server.dialects",
            "server.snowplow_path",
            "server.trusted_proxies",
            "server.relay_keys",  # relayed logs are bound to keys in the worker's memory
            "log.segment_bytes",
            "log.segment_seconds",
            "log.stall_seconds",
            "log.warn_free_bytes",
            "log.min_free_bytes",
            "log.retain_hours",
            "log.retain_bytes",
            "dead_letters.bytes_per_hour",
            "dead_letters.retain_hours",
            "dedup.entries",
            "dead_letters.retain_bytes",
            "session.secret",
            "session.timeout_seconds",
        }
    ),
    Effect.RESTART: frozenset(
        {
            "server.host",  # the supervisor binds the socket once
            "server.port",
            "server.workers",
            "server.tls_certificate",  # meanwhile, some workers would expect TLS and others not
            "server.tls_key",
            "admin.enabled",
            "admin.host",
            "admin.port",
            "admin.dir",
            "log.dir",  # the old shards, and the generated session secret beside them, would be left behind
            "dead_letters.dir",
            "dedup.dir",
            "dedup.bytes",  # a smaller or larger index replaces the old one only when no worker has that open
        }
    ),
}
"""The settings of each effect. An array of tables has one for all: the registry of properties is swapped whole, and a
sink is built when its worker starts."""
_EFFECTS: Final = {setting: effect for effect, settings in SETTINGS.items() for setting in settings}


def effect_of(setting: str) -> Effect:
    """The effect of a setting, by `table.setting`, or by the name of an array of tables. Raises KeyError."""
    return _EFFECTS[setting]
