"""`collector audit` beside a collector that stores, ships and drops segments: no moving writer looks like a loss."""

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.cli import main
from tests.running import Collector, eventually, running
from wal.files import Files
from wal.folder import find_logs
from wal.sealed import drop_segments

_AUDITS = 6
_EVENTS = json.dumps([{"ea": "view", "n": number} for number in range(20)]).encode()
_SETTINGS = """
[server]
port = {port}
workers = {workers}
[log]
segment_bytes = 1048576
segment_seconds = 0.5
[[property]]
portal_id = 33167
prop_id = 564990801
required = ["ea"]
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.02
flush_bytes = 65536
"""


@contextlib.contextmanager
def _load(collector: Collector) -> Iterator[list[int]]:
    """Post batches, and drop delivered segments, in threads; yields the numbers of stored events."""
    stored: list[int] = []
    stop = threading.Event()

    def post() -> None:
        while not stop.is_set():
            assert collector.post(_EVENTS).status == 200
            stored.append(20)

    def drop() -> None:
        while not stop.wait(0.05):
            for folder in find_logs(Files(), str(collector.folder / "data/log")):
                drop_segments(folder, expected=["file"], keep_ms=0, keep_bytes=0)

    threads = [threading.Thread(target=each) for each in (post, post, drop)]
    for thread in threads:
        thread.start()
    try:
        yield stored
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _audit(collector: Collector, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code = main(["audit", "--json", "--config", str(collector.folder / "collector.toml"), *arguments])
    report = json.loads(capsys.readouterr().out)
    assert code == 0, report
    return report


def _oldest(folder: Path) -> list[int]:
    """The first event of each log."""
    return [place.sequence for log in find_logs(Files(), str(folder / "data/log")) if (place := log.oldest())]


def test_repeated_audits_under_load_balance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(tmp_path, workers=2, settings=_SETTINGS) as collector:
        with _load(collector) as stored:
            for _ in range(_AUDITS):
                before = len(stored)
                eventually(lambda: len(stored) > before + 20, "events arrive")  # noqa: B023
                _audit(collector, capsys)
            eventually(lambda: min(_oldest(tmp_path)) > 1, "segments were dropped of every log")
            _audit(collector, capsys, "--deep")
        assert collector.stop() == 0
    report = _audit(collector, capsys)
    assert sum(log["last"] for log in report["logs"]) == sum(stored)
    assert all(each["pending"] == 0 for each in report["accounts"])
