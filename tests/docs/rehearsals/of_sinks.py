"""Sinks that are away, slow, or stopped; and logs that are damaged."""

import time
from contextlib import closing

import pytest

from collector.server.exit_codes import STARTUP_FAILURE
from tests.destinations.http import HttpReceiver
from tests.destinations.unreliable import Proxy
from tests.docs.rehearsals.stage import Stage
from tests.running import eventually

_SLOW_SECONDS = 0.3
_FEW_BYTES = "flush_bytes = 4096"


def sink_down(stage: Stage) -> None:
    """A receiver that is away."""
    receiver = stage.enter(closing(HttpReceiver(stage.folder)))
    stage.start(receiver.toml())
    assert stage.post(3) == {200}
    stage.run("collector sink ls", "http data/log/00 up … 0 0 0 4")
    receiver.down()
    assert stage.post(3) == {200}
    stage.fires()
    stage.sees("sink_retrying", "sink_down")
    stage.run("collector sink ls", "http data/log/00 down … 3 … can't connect")
    stage.decides("no answer, refused connection, time-out")
    stage.keep_evidence()
    receiver.up()
    stage.run("collector sink ls", "http data/log/00 up … 0 0 0 7")
    stage.ends()


def sink_lagging(stage: Stage) -> None:
    """A receiver that takes long for each batch, and batches that are small."""
    receiver = stage.enter(closing(HttpReceiver(stage.folder)))
    port = int(receiver.toml().partition("127.0.0.1:")[2].partition("/")[0])
    slow = stage.enter(closing(Proxy(port, response=_late)))
    table = receiver.toml().replace(f":{port}/", f":{slow.port}/")
    stage.start(table, smaller={"> 600": "> 2"})
    assert stage.post(60, extra={"text": "x" * 3000}) == {200}
    stage.fires()
    stage.run("collector sink ls", "http data/log/00 up")
    stage.decides("the lag grows, the destination is busy")
    stage.keep_evidence()
    stage.change(_FEW_BYTES, "flush_bytes = 4194304")
    stage.run("collector reload", "exit code 0")
    stage.sees("sinks_behind", "sink_elsewhere")
    stage.run("collector sink ls", "http data/log/00 … 0 0 0 61")
    stage.ends()


def sink_stopped(stage: Stage) -> None:
    """A cursor that is damaged."""
    stage.start('[[sink]]\ntype = "file"\nname = "second"\ndir = "second"\nstart = "oldest"\nflush_seconds = 0.1\n')
    assert stage.post(3) == {200}
    stage.run("collector sink ls", "second data/log/00 up … 0 0 0 4")
    assert stage.collector.stop() == 0
    cursor = stage.folder / "data/log/00/cursors/second.json"
    cursor.write_text("damaged")
    stage.collector.start()
    assert stage.post(3) == {200}
    stage.fires()
    stage.sees("cursor_damaged", "sink_stopped")
    stage.run("collector sink ls", "second data/log/00 unreadable … second.json: … expected a cursor with its CRC")
    stage.decides("a cursor is damaged")
    stage.keep_evidence()
    cursor.rename(stage.folder / "away")
    stage.restart()
    stage.run("collector sink ls", "second data/log/00 up … 0 0 0 7")
    stage.run("collector audit", "balanced exit code 0")
    assert len(stage.collector.shipped("second")) == 6
    stage.ends()


def damage_found(stage: Stage) -> None:
    """A byte of an event that is changed on the disk."""
    stage.start()
    assert stage.post(2) == {200}
    assert stage.post(uid="changed") == {200}
    assert stage.post() == {200}
    eventually(lambda: len(stage.collector.shipped("events")) == 4, "the sink has all")
    assert stage.collector.stop() == 0
    (segment,) = (stage.folder / "data/log/00").glob("seg-*.ndjson")
    segment.write_bytes(segment.read_bytes().replace(b'"changed"', b'"chanced"'))
    stage.collector.start()
    assert stage.post() == {200}
    stage.fires()
    stage.sees("damage_found")
    stage.decides("one block, and nothing in `dmesg`")
    stage.keep_evidence()
    assert "events 3 to 3 are lost" in stage.collector.stderr
    stage.run("wal verify data/log", "exit code 0")
    stage.ends()


def missing_segment(stage: Stage) -> None:
    """A segment that somebody has deleted."""
    stage.start("[log]\nsegment_bytes = 1048576\n")
    assert stage.post(60, extra={"text": "x" * 60_000}) == {200}
    eventually(lambda: len(stage.collector.shipped("events")) == 60, "the sink has all")
    assert stage.collector.stop() == 0
    _, missing, *_ = sorted((stage.folder / "data/log/00").glob("seg-*.ndjson"))
    missing.unlink()
    with pytest.raises(AssertionError):
        stage.collector.start()
    assert stage.collector.process.wait() == STARTUP_FAILURE
    stage.sees("start_failed")
    assert "data/log/00: at byte 0: expected segment 2, found no such file" in stage.collector.stderr
    stage.run("wal verify data/log", "segment 2 … exit code 1")
    stage.keep_evidence()
    stage.run("wal repair --apply data/log", "append to damage.ndjson … exit code 0")
    stage.collector.start()
    assert stage.post() == {200}
    stage.run("wal verify data/log", "exit code 0")
    stage.ends()


def _late(piece: bytes) -> bytes:
    time.sleep(_SLOW_SECONDS)
    return piece
