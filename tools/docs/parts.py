"""The one table of generators. Each has a function `parts`, which returns Markdown by the name of its part."""

from collections.abc import Callable
from typing import Final

from tools.docs import (
    alerts,
    commands,
    copies,
    dialects,
    errors,
    events,
    http_api,
    metrics,
    privacy,
    process_log,
    readiness,
    settings,
    sinks,
    sizing,
)

GENERATORS: Final[tuple[Callable[[], dict[str, str]], ...]] = (
    alerts.parts,
    commands.parts,
    copies.parts,
    dialects.parts,
    errors.parts,
    events.parts,
    http_api.parts,
    metrics.parts,
    privacy.parts,
    process_log.parts,
    readiness.parts,
    settings.parts,
    sinks.parts,
    sizing.parts,
)


def all_parts() -> dict[str, str]:
    """Every generated part by its name. Raises ValueError if two generators use one name."""
    parts: dict[str, str] = {}
    for generate in GENERATORS:
        made = generate()
        if twice := parts.keys() & made.keys():
            raise ValueError(f"two generators make the parts {sorted(twice)}")
        parts |= made
    return parts
