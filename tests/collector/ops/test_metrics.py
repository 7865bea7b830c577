"""`/metrics` as text: OpenMetrics that a parser reads, with every metric of the table."""

import asyncio
import math
import os
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from collector.dedup.index import IndexStats
from collector.ops.counters import CounterBlock
from collector.ops.gauges import Load, reset, set_forever, set_ids_forever
from collector.ops.histogram import Histogram
from collector.ops.metric_table import COMMIT_EVENTS, METRICS, READY, REQUEST_SECONDS, REQUESTS, RESTARTS
from collector.ops.metrics import render
from collector.settings import Settings, load_settings
from tests.running import eventually
from tests.wal.faulty_files import NotPermitted
from tests.wal.logs import line
from wal.cursor import Cursor
from wal.folder import LogFolder
from wal.log import Log

BUILD = {"version": "1.2", "python": "3.11", "config": "abc"}
Samples = dict[tuple[str, ...], float]


def _settings(folder: Path) -> Settings:
    (folder / "collector.toml").write_text('[log]\ndir = "log"\n[[sink]]\ntype = "file"\nname = "files"\ndir = "out"\n')
    return load_settings(str(folder / "collector.toml"))


def _families(text: bytes) -> dict[str, Family]:
    return {family.name: family for family in text_string_to_metric_families(text.decode())}  # type: ignore[no-untyped-call]


def _samples(text: bytes) -> Samples:
    """Values by name and label values, in alphabetical order of their labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in _families(text).values()
        for sample in family.samples
    }


def _log_of(settings: Settings, shard: str, events: int) -> LogFolder:
    """The folder of a log with that many events, a block each."""
    log = Log(os.path.join(settings.log.dir, shard))
    for number in range(1, events + 1):
        log.commit(line(number), 1)
    log.close()
    return log.folder


def test_every_metric_is_there_with_its_type_unit_and_help(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    folder = _log_of(settings, "00", 1)
    start = folder.oldest()
    assert start is not None
    folder.ensure_cursor("files", start)
    families = _families(render([CounterBlock.create()], settings, BUILD, {(READY.name, "0"): 1.0}))
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total").removesuffix("_info")]
        assert (family.type, family.unit, family.documentation) == (metric.kind, metric.unit, metric.help)
        assert all(set(sample.labels) == set(metric.labels) for sample in family.samples if metric.kind != "histogram")
    assert len(families) == len(METRICS)


def test_workers_are_added_up_and_histograms_accumulate(tmp_path: Path) -> None:
    blocks = [CounterBlock.create() for _ in range(2)]
    for block in blocks:
        block.add(3, REQUESTS.name, "/event", "200")
        seconds = Histogram(block, REQUEST_SECONDS)
        for value in (0.0005, 0.001, 0.0011, 0.3, 99.0):
            seconds.observe(value)
        Histogram(block, COMMIT_EVENTS).observe(7)
    blocks[1].add(2, RESTARTS.name, "SIGKILL")
    samples = _samples(render(blocks, _settings(tmp_path), BUILD, {}))
    assert samples["tracklog_requests_total", "/event", "200"] == 6
    assert samples["tracklog_worker_restarts_total", "SIGKILL"] == 2
    buckets = {key[1]: value for key, value in samples.items() if key[0] == "tracklog_request_seconds_bucket"}
    assert (buckets["0.001"], buckets["0.0025"], buckets["0.5"], buckets["10.0"], buckets["+Inf"]) == (4, 6, 8, 8, 10)
    assert samples["tracklog_request_seconds_count",] == 10
    assert math.isclose(samples["tracklog_request_seconds_sum",], 2 * (0.0005 + 0.001 + 0.0011 + 0.3 + 99))
    assert samples["tracklog_commit_events_sum",] == 14


def test_the_data_folder_tells_of_logs_sinks_and_damage(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    first, second = _log_of(settings, "00", 5), _log_of(settings, "01", 1)
    start = first.oldest()
    assert start is not None
    for folder in (first, second):
        folder.ensure_cursor("files", start)
    first.save_cursor("files", Cursor(Log(first.path).end))
    samples = _samples(render([], settings, BUILD, {}))
    assert samples["tracklog_log_segments", "00"] == len(first.segments())
    assert samples["tracklog_log_bytes", "01"] == sum(
        os.path.getsize(second.segment_file(name)) for name in second.segments()
    )
    assert samples["tracklog_sink_delivered_events_total", "00", "files"] == 5
    assert samples["tracklog_sink_lag_events", "00", "files"] == 0
    assert samples["tracklog_sink_lag_events", "01", "files"] == 1
    assert samples["tracklog_sink_lag_seconds", "01", "files"] >= 0
    assert samples["tracklog_sink_lag_bytes", "01", "files"] > 0
    assert samples["tracklog_sink_up", "01", "files"] == 0, "nobody ships it"
    assert samples["tracklog_damaged_events_total",] == 0
    assert samples["tracklog_disk_free_bytes",] > 0
    (tmp_path / "log/00/cursors/files.json").write_text("broken")
    samples = _samples(render([], settings, BUILD, {}))
    assert ("tracklog_sink_lag_events", "00", "files") not in samples
    assert samples["tracklog_sink_lag_events", "01", "files"] == 1, "one that can't be read hides no other"


def test_a_scrape_locks_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(tmp_path)
    _log_of(settings, "00", 1)
    monkeypatch.setattr(LogFolder, "lock", lambda _: pytest.fail("a worker that starts now would take another shard"))
    render([], settings, BUILD, {})


def test_a_folder_that_may_not_be_listed_takes_no_metric_of_the_logs_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(tmp_path)
    _log_of(settings, "00", 1)
    Path(settings.log.dir, "lost+found").mkdir()
    files = NotPermitted(os.path.join(settings.log.dir, "lost+found"))
    monkeypatch.setattr("collector.ops.metrics_of_disk.Files", lambda: files)
    samples = _samples(render([], settings, BUILD, {}))
    assert samples["tracklog_log_segments", "00"] == 1
    assert samples["tracklog_sink_up", "00", "files"] == 0


def test_a_process_is_measured_while_it_counts_in_its_block(tmp_path: Path) -> None:
    blocks = [CounterBlock.create() for _ in range(2)]
    blocks[1].pid = os.getpid()
    samples = _samples(render(blocks, _settings(tmp_path), BUILD, {}))
    assert samples["process_resident_memory_bytes", "1"] > 1 << 20
    assert samples["process_open_fds", "1"] > 3
    assert samples["process_cpu_seconds_total", "1"] > 0
    assert ("process_open_fds", "0") not in samples


async def _stats() -> IndexStats:
    return IndexStats(5, None, 4096, 7)


def test_gauges_are_set_while_a_worker_runs_and_zero_afterwards(tmp_path: Path) -> None:
    block = CounterBlock.create()
    settings = _settings(tmp_path)
    seen: list[Samples] = []

    async def run() -> None:
        tasks = [
            asyncio.create_task(set_forever(block, lambda: Load(3, 4096, "00", 0.25))),
            asyncio.create_task(set_ids_forever(block, _stats)),
        ]
        expected = {("tracklog_connections",), ("tracklog_dedup_entries",)}
        await asyncio.to_thread(eventually, lambda: expected <= block.read().keys(), "they are set")
        await asyncio.sleep(0)
        seen.append(_samples(render([block], settings, BUILD, {})))
        for task in reversed(tasks):
            task.cancel()
        await asyncio.wait(tasks)

    asyncio.run(run())
    seen.append(_samples(render([block], settings, BUILD, {})))
    for samples, values in zip(seen, [(3, 4096, 0.25, 5), (0, 0, 0, 0)], strict=True):
        assert samples["tracklog_connections",] == values[0]
        assert samples["tracklog_in_flight_bytes",] == values[1]
        assert samples["tracklog_pressure", "00"] == values[2]
        assert samples["tracklog_dedup_entries",] == values[3]
        assert samples["tracklog_event_loop_delay_seconds",] >= 0
        assert samples["tracklog_dedup_forgotten_total",] == 7
    reset(block)


def test_ids_that_a_worker_forgot_are_added_to_those_of_its_predecessor() -> None:
    block = CounterBlock.create()

    async def run(total: int) -> None:
        task = asyncio.create_task(set_ids_forever(block, _stats))
        await asyncio.to_thread(
            eventually, lambda: block.read().get(("tracklog_dedup_forgotten_total",)) == total, f"{total} are counted"
        )
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(run(7))
    asyncio.run(run(14))
