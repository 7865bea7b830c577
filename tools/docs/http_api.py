"""The HTTP API, from the OpenAPI document that the collector serves with its default settings."""

from typing import Any

import msgspec

from collector.ingest.openapi import openapi
from collector.settings import Settings
from tools.docs.markdown import sentence, table


def parts() -> dict[str, str]:
    """Methods, forms of a body, statuses, and the members of the responses."""
    document = msgspec.json.decode(openapi(["/event"], Settings()))
    methods = document["paths"]["/event"]
    schemas = document["components"]["schemas"]
    return {
        "http.methods": table(
            ("method", "what it does"),
            [(f"`{name.upper()}`", sentence(each["summary"])) for name, each in methods.items()],
        ),
        "http.bodies": table(("content type", "the body"), _bodies(methods["post"]["requestBody"]["content"])),
        "http.statuses": table(("status", "when"), _statuses(methods)),
        "http.object": table(("member", "value"), _members(schemas["Response"])),
        "http.batch": table(("member", "value"), _members(schemas["BatchResponse"])),
    }


def _bodies(content: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (f"`{name}`", sentence(each["schema"].get("description", _shape(each["schema"]))))
        for name, each in content.items()
    ]


def _shape(schema: dict[str, Any]) -> str:
    """One event, or also an array of them."""
    arrays = [each for each in schema.get("anyOf", []) if each.get("type") == "array"]
    return f"an event, or an array of 1 to {arrays[0]['maxItems']:,} events" if arrays else "the fields of one event"


def _statuses(methods: dict[str, Any]) -> list[tuple[str, str]]:
    found = {
        status: each["description"]
        for method in reversed(methods.values())
        for status, each in method["responses"].items()
    }
    return [(status, sentence(found[status])) for status in sorted(found)]


def _members(schema: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f"`{name}`", _value(each)) for name, each in schema["properties"].items()]


def _value(schema: dict[str, Any]) -> str:
    kind = schema.get("type") or " or ".join(f"`{each}`" for each in schema.get("enum", [schema.get("const")]))
    return f"{kind}: {schema['description']}" if "description" in schema else str(kind)
