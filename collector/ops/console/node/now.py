"""The view Now as JSON values: the newest sample, and the states of workers and sinks, each with its age."""

from typing import Any, Final

from collector.ops.console.node.reading import DiskReading
from collector.ops.console.node.sampler import Sampler
from collector.ops.console.node.series import COARSE_LENGTH, COARSE_SECONDS, headroom
from collector.ops.status import SinkStatus
from collector.server.node_state import WorkerState
from wal.log import now_ms

_MOST_ERROR: Final = 500
"""Characters of a sink's last error."""


def now_sample(sampler: Sampler, reserve: int) -> dict[str, Any]:
    """The data of the message `now`. `reserve`: free bytes at which the node counts as full."""
    node, disk, unix_ms = sampler.node(), sampler.disk_news(), now_ms()
    ages = {block.pid: int(block.silent_seconds * 1000) for block in sampler.blocks}
    return {
        "now_ms": unix_ms,
        "started_ms": node.started_ms,
        "ready": node.is_ready,
        "reason": node.reason,
        "age_ms": unix_ms - sampler.read_ms if sampler.read_ms else None,
        "values": sampler.values,
        "codes": sampler.codes,
        "disk": _disk(sampler, disk, reserve),
        "dead": disk.dead if disk else None,
        "workers": [_worker(sampler, worker, ages.get(worker.pid or -1)) for worker in node.workers],
        "sinks": _sinks(sampler.disk, sampler.clock()),
    }


def _disk(sampler: Sampler, disk: DiskReading | None, reserve: int) -> dict[str, int | str | None]:
    if disk is None:
        return {"free": None, "total": None, "full_in_s": None, "full_state": "unknown"}
    before = sampler.coarse.values("disk_free", sampler.coarse.last, COARSE_LENGTH)
    found = headroom(disk.free, before, COARSE_SECONDS, reserve)
    return {"free": disk.free, "total": disk.total, "full_in_s": found.seconds, "full_state": found.state}


def _worker(sampler: Sampler, worker: WorkerState, age_ms: int | None) -> dict[str, Any]:
    return {
        "place": worker.place,
        "pid": worker.pid,
        "shard": worker.shard,
        "ready": worker.is_ready,
        "reason": worker.reason,
        "cpu": sampler.values.get(f"cpu.{worker.place}"),
        "memory": sampler.values.get(f"memory.{worker.place}"),
        "started_ms": worker.started_ms,
        "restarts": worker.restarts,
        "age_ms": age_ms,
    }


def _sinks(disk: DiskReading | None, seconds: float) -> list[dict[str, Any]]:
    """The sinks as they were when the disk was read last, with the time since then."""
    if disk is None:
        return []
    age_ms = int((seconds - disk.seconds) * 1000)
    return [_sink(sink) | {"age_ms": age_ms} for sink in disk.sinks]


def _sink(sink: SinkStatus) -> dict[str, Any]:
    return {
        "name": sink.sink,
        "shard": sink.shard,
        "state": sink.state,
        "since_ms": sink.since_ms,
        "lag_events": sink.lag_events,
        "lag_bytes": sink.lag_bytes,
        "lag_seconds": sink.lag_seconds,
        "error": sink.error[:_MOST_ERROR],
    }
