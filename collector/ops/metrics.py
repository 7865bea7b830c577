"""The text of `/metrics`, in OpenMetrics: the counters of all workers, and what supervisor, logs and /proc tell."""

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Final, cast

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from collector.ops.counters import CounterBlock, Key, summed
from collector.ops.histogram import SUM, bucket_names
from collector.ops.metric import Metric
from collector.ops.metric_table import BUILD, LARGEST, METRICS
from collector.ops.metrics_of_disk import disk_samples
from collector.ops.metrics_of_processes import process_samples
from collector.settings import Settings

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

Samples = Mapping[Key, float]
"""Values by metric name and label values."""


def render(blocks: Sequence[CounterBlock], settings: Settings, build: Mapping[str, str], node: Samples) -> bytes:
    """The metrics of this node now, as CONTENT_TYPE.

    `build` has the labels of BUILD, `node` the values that the supervisor knows.
    Blocks: it reads logs and cursors, of each log at most its last segment. Call it in a thread.
    """
    read = [block.read() for block in blocks]
    samples: dict[Key, float] = {**summed(read)}
    for metric in LARGEST:
        samples[metric.name,] = max((counters.get((metric.name,), 0) for counters in read), default=0)
    samples |= disk_samples(settings) | process_samples(block.pid for block in blocks) | dict(node)
    info = InfoMetricFamily(BUILD.name.removesuffix("_info"), BUILD.help, dict(build))
    registry = SimpleNamespace(collect=lambda: [*_families(samples), info])  # all of a registry that is asked for
    return cast(bytes, generate_latest(registry))  # type: ignore[no-untyped-call]


def _families(samples: Samples) -> Iterator[Family]:
    in_order = sorted(samples.items())
    for metric in METRICS:
        if metric.kind == "histogram":
            yield _histogram(metric, samples)
        elif metric.kind != "info":
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
            for (name, *labels), value in in_order:
                if name == metric.name:
                    family.add_metric(labels, value / metric.scale)
            if not metric.labels and not family.samples:
                family.add_metric((), 0)
            yield family


def _histogram(metric: Metric, samples: Samples) -> HistogramMetricFamily:
    """A histogram of which each bucket counts those below it, too."""
    family = HistogramMetricFamily(metric.name, metric.help, unit=metric.unit)
    below, buckets = 0.0, []
    for bound in bucket_names(metric):
        below += samples.get((metric.name, bound), 0)
        buckets.append((bound, below))
    family.add_metric((), buckets, samples.get((metric.name + SUM,), 0) / metric.scale)
    return family
