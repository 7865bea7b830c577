"""The text of `/metrics`, in OpenMetrics: the counters of all workers, and what supervisor, logs and /proc tell."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, cast

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from collector.ops.counters import CounterBlock, Key, total
from collector.ops.histogram import SUM, bucket_names
from collector.ops.metric import Metric
from collector.ops.metric_table import BUILD, COUNTED, LARGEST, METRICS
from collector.ops.metrics_of_disk import disk_samples
from collector.ops.metrics_of_processes import process_samples
from collector.settings import Settings

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

Samples = Mapping[Key, float]
"""Values by metric name and label values."""


def render(blocks: Sequence[CounterBlock], settings: Settings, build: Mapping[str, str], node: Samples) -> bytes:
    """The metrics of this node now, as CONTENT_TYPE. `build` has the labels of BUILD, `node` the values of OF_THE_NODE.

    Blocks: it reads logs and cursors, of each log at most its last segment. Call it in a thread.
    """
    counters = total(blocks)
    read = [block.read() for block in blocks]
    for metric in LARGEST:
        counters[metric.name,] = max((each.get((metric.name,), 0) for each in read), default=0)
    registry = CollectorRegistry(auto_describe=False)
    samples = disk_samples(settings) | process_samples(block.pid for block in blocks) | dict(node)
    info = InfoMetricFamily(BUILD.name.removesuffix("_info"), BUILD.help, dict(build))
    registry.register(_Collected([*_families(counters, samples), info]))
    return cast(bytes, generate_latest(registry))  # type: ignore[no-untyped-call]


class _Collected(Collector):
    """Metric families, for prometheus_client."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        """The families."""
        return self._families


def _families(counters: dict[Key, int], samples: Samples) -> Iterator[Family]:
    for metric in METRICS:
        if metric.kind == "histogram":
            yield _histogram(metric, counters)
        elif metric.kind != "info":
            source: Samples = counters if metric in COUNTED else samples
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
            for (name, *labels), value in sorted(source.items()):
                if name == metric.name:
                    family.add_metric(labels, value / metric.scale)
            if not metric.labels and not family.samples:
                family.add_metric((), 0)
            yield family


def _histogram(metric: Metric, counters: dict[Key, int]) -> HistogramMetricFamily:
    """A histogram of which each bucket counts those below it, too."""
    family = HistogramMetricFamily(metric.name, metric.help, unit=metric.unit)
    below, buckets = 0, []
    for bound in bucket_names(metric):
        below += counters.get((metric.name, bound), 0)
        buckets.append((bound, below))
    family.add_metric((), buckets, counters.get((metric.name + SUM,), 0) / metric.scale)
    return family
