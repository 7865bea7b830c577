"""Snowplow's self-describing JSON, pure: values with the schema that each follows, in envelopes, plain or as base64url.

A schema is `iglu:VENDOR/NAME/FORMAT/VERSION`. As in Snowplow's own pipeline, a malformed one is an error.
"""

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from collector.errors import UNDECODABLE, BadEvent
from collector.ingest.event import check_utf8

_IGLU: Final = r"\Aiglu:[A-Za-z0-9_.-]+/[A-Za-z0-9_-]+/[A-Za-z0-9_-]+/[0-9]+-[0-9]+-[0-9]+\Z"
_OF_SNOWPLOW: Final = r"\Aiglu:com\.snowplowanalytics\.snowplow/%s/jsonschema/1-[0-9]+-[0-9]+\Z"
_STANDARD: Final = bytes.maketrans(b"-_ ", b"+/+")
"""From base64url to base64. A space was a `+` before the query was unescaped."""


class SelfDescribing(Struct):
    """A JSON value and the schema that it follows."""

    schema: Annotated[str, Meta(pattern=_IGLU)]
    data: Raw

    @property
    def vendor_and_name(self) -> tuple[str, str]:
        """Those of the schema."""
        vendor, name, _, _ = self.schema.removeprefix("iglu:").split("/")
        return vendor, name


class _Contexts(Struct):
    """The envelope of the entities of an event."""

    schema: Annotated[str, Meta(pattern=_OF_SNOWPLOW % "contexts")]
    data: list[SelfDescribing]


class _Unstruct(Struct):
    """The envelope of a self-describing event."""

    schema: Annotated[str, Meta(pattern=_OF_SNOWPLOW % "unstruct_event")]
    data: SelfDescribing


_Envelope = TypeVar("_Envelope", _Contexts, _Unstruct)
_contexts_in: Final = msgspec.json.Decoder(_Contexts).decode
_unstruct_in: Final = msgspec.json.Decoder(_Unstruct).decode


def entities_in(text: bytes) -> list[SelfDescribing]:
    """The entities of an event. Raises BadEvent."""
    return _decoded(_contexts_in, text, "the entities").data


def described_in(text: bytes) -> SelfDescribing:
    """The content of a self-describing event. Raises BadEvent."""
    return _decoded(_unstruct_in, text, "the self-describing event").data


def from_base64url(text: str) -> bytes:
    """UTF-8 from base64url, with or without padding. Raises BadEvent."""
    digits = text.encode().rstrip(b"=").translate(_STANDARD)
    try:
        found = a2b_base64(digits + b"=" * (-len(digits) % 4), strict_mode=True)
    except Base64Error as error:
        raise BadEvent(f"expected JSON in base64url: {error}") from None
    check_utf8(found)
    return found


def _decoded(decode: Callable[[bytes], _Envelope], text: bytes, subject: str) -> _Envelope:
    try:
        return decode(text)
    except UNDECODABLE as error:
        raise BadEvent(f"{subject}: {error}") from None
