"""The charts of a report, as SVG."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.measure import Row

_OURS: Final = "#0b6e4f"
_REFERENCE: Final = "#8d99ae"
_WIDTH, _HEIGHT = 7.5, 3.6
mpl.rcParams.update(
    {
        "svg.hashsalt": "tracklog",
        "svg.fonttype": "none",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw what there are rows for; returns the files."""
    drawn = []
    for name, chart in _CHARTS.items():
        figure = Figure((_WIDTH, _HEIGHT), layout="constrained")
        if chart(figure, rows):
            path = folder / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None})
            drawn.append(path)
    return drawn


def _concurrency(figure: Figure, rows: Sequence[Row]) -> bool:
    found = [row for row in rows if row.scenario == "connections"]
    if not found:
        return False
    left, right = figure.subplots(1, 2)
    names = [str(row.details["connections"]) for row in found]
    for label, color, key in (("collector", _OURS, "ours"), ("bare echo", _REFERENCE, "reference")):
        left.plot(names, [_middle(row, key, "rate") for row in found], "o-", color=color, label=label)
    left.set(title="single POSTs a second", xlabel="connections", ylim=(0, None))
    left.legend(frameon=False)
    for label, style, key in (("median", "o-", "p50"), ("p99", "o--", "p99")):
        right.plot(names, [_middle(row, "ours", key) for row in found], style, color=_OURS, label=f"collector, {label}")
        right.plot(
            names,
            [_middle(row, "reference", key) for row in found],
            style,
            color=_REFERENCE,
            label=f"bare echo, {label}",
        )
    right.set(title="latency at saturation, ms", xlabel="connections", yscale="log")
    right.legend(frameon=False)
    return True


def _delays(figure: Figure, rows: Sequence[Row]) -> bool:
    found = next((row for row in rows if row.scenario == "delay"), None)
    if found is None:
        return False
    axes = figure.subplots()
    latencies: Any = found.details["latencies"]
    for (name, counts), color in zip(latencies.items(), (_OURS, _REFERENCE), strict=True):
        total = sum(count for _, count in counts)
        axes.stairs(
            [count / total * 100 for _, count in counts[:-1]],
            [bound for bound, _ in counts],
            color=color,
            label=name,
            fill=True,
            alpha=0.6,
        )
    axes.set(
        title=f"latency of single POSTs, open loop, {found.beside}", xlabel="ms", ylabel="% of requests", xscale="log"
    )
    axes.legend(frameon=False)
    return True


def _stages(figure: Figure, rows: Sequence[Row]) -> bool:
    found = [row for row in rows if row.scenario == "stages"]
    if not found:
        return False
    figure.set_figheight(2 * _HEIGHT)
    kinds = list(dict.fromkeys(str(row.details["of"]) for row in found))
    for axes, kind in zip(figure.subplots(len(kinds), 1, squeeze=False)[:, 0], kinds, strict=True):
        stages = [row for row in found if row.details["of"] == kind]
        bars = axes.barh([row.name for row in stages], [row.value for row in stages], color=_OURS)
        axes.bar_label(bars, fmt="%.1f", padding=3)
        axes.invert_yaxis()
        axes.set(title=f"CPU of an event by stage, us: {kind}")
    return True


def _soak(figure: Figure, rows: Sequence[Row]) -> bool:
    found = next((row for row in rows if row.scenario == "soak" and row.details), None)
    if found is None:
        return False
    slices: Any = found.details["slices"]
    minutes = [each["at"] / 60 for each in slices]
    for axes, key, title in zip(
        figure.subplots(1, 3), ("lag", "mib", "p99"), ("lag of the file sink, s", "memory, MiB", "p99, ms"), strict=True
    ):
        axes.plot(minutes, [each[key] for each in slices], color=_OURS)
        axes.set(title=title, xlabel="minutes", ylim=(0, None))
    return True


def _middle(row: Row, key: str, figure: str) -> float:
    samples: Any = row.details[key]
    return float(sorted(sample[figure] for sample in samples)[len(samples) // 2])


_CHARTS: Final[dict[str, Callable[[Figure, Sequence[Row]], bool]]] = {
    "concurrency": _concurrency,
    "latency": _delays,
    "stages": _stages,
    "soak": _soak,
}
