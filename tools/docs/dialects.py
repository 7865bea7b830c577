"""The paths of the dialects, from the OpenAPI document that the collector serves with its default settings."""

from typing import Any

from collector.ingest.dialects.openapi import dialect_paths
from collector.ingest.dialects.table import served
from collector.settings import ServerSettings
from tools.docs.markdown import sentence, table


def parts() -> dict[str, str]:
    """A table for each dialect that has paths."""
    server = ServerSettings()
    found = dialect_paths(server)
    return {f"dialects.{each.name}": _paths(each.name, found) for each in served(server)}


def _paths(dialect: str, found: dict[str, Any]) -> str:
    """The operations of a dialect but for preflights: those that do the same share a row."""
    rows: dict[tuple[str, str], list[str]] = {}
    for path, operations in found.items():
        for method, each in operations.items():
            if method not in ("parameters", "options", "head") and dialect in each["tags"]:
                rows.setdefault((method.upper(), each["summary"]), []).append(f"`{path}`")
    return table(
        ("paths", "method", "what it does"),
        [(", ".join(paths), f"`{method}`", sentence(summary)) for (method, summary), paths in rows.items()],
    )
