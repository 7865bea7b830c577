"""The settings of the process log."""

from typing import Annotated, Literal

from msgspec import Meta, Struct


class ProcessLogSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The lines on stderr."""

    format: Annotated[
        Literal["text", "json"], Meta(description="format of the lines on stderr: `text`, or `json`, one object a line")
    ] = "text"
    level: Annotated[
        Literal["info", "warning", "error", "critical"],
        Meta(description="the least level that is written; `warning` leaves out starts, stops and recoveries"),
    ] = "info"
