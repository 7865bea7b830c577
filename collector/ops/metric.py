"""A metric, as the table of metrics has it."""

from typing import Final, Literal, NamedTuple

BILLION: Final = 1_000_000_000


class Metric(NamedTuple):
    """A metric. `name` is the full one, with `_total` for a counter."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    scale: int = 1
    """The integer that a block of counters holds for 1."""
    bounds: tuple[float, ...] = ()
    """The upper bounds of a histogram's buckets, without infinity."""


def counter(name: str, text: str, *labels: str) -> Metric:
    """A counter with these labels."""
    return Metric(name, "counter", text, labels)


def seconds(name: str, text: str, bounds: tuple[float, ...]) -> Metric:
    """A histogram of seconds."""
    return Metric(name, "histogram", text, (), "seconds", BILLION, bounds)
