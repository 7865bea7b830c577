"""The process log of a real collector, from its start to its end."""

import json
import re
from pathlib import Path
from typing import Any

import psutil
import pytest

from collector.settings import load_settings
from collector.settings.digest import settings_digest
from tests.running import Collector, eventually, running
from wal import __version__

_SETTINGS = """
[server]
port = {{port}}
workers = {{workers}}
[process_log]
format = "{format}"
[[property]]
portal_id = 33167
prop_id = 564990801
required = []
[[sink]]
type = "file"
dir = "data/events"
"""


def _live(collector: Collector) -> psutil.Process:
    """A life with an unknown property, and the death of a worker, which is returned."""
    assert collector.send("POST", "/event?portal_id=1&prop_id=2&resp_type=json", b"{}").status == 404
    eventually(lambda: "unknown_property" in collector.stderr, "the refusal is told")
    (victim,) = collector.workers()
    victim.kill()
    eventually(lambda: collector.stderr.count("log_opened") == 4, "another worker has opened its two logs")
    eventually(lambda: collector.post({"ea": "view"}).status == 200, "it serves")
    assert collector.stop() == 0
    return victim


def test_every_line_of_a_life_is_an_object_and_the_events_come_in_order(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, settings=_SETTINGS.format(format="json")) as collector:
        supervisor = collector.process.pid
        victim = _live(collector)
    lines: list[dict[str, Any]] = [json.loads(line) for line in collector.stderr.splitlines()]
    first = {line["event"]: line for line in reversed(lines)}
    events = [line["event"] for line in lines if line["event"] not in ("start_warning", "log_opened")]
    assert events == ["starting", "ready", "unknown_property", "worker_died", "stopping", "stopped"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)
    assert {line["pid"] for line in lines if line["event"] in ("starting", "ready", "stopped")} == {supervisor}

    config = str(tmp_path / "collector.toml")
    starting = first["starting"]
    assert (starting["version"], starting["settings"], starting["workers"]) == (__version__, config, 1)
    assert (starting["digest"], starting["log"]) == (settings_digest(load_settings(config)), f"{tmp_path}/data/log")
    assert first["log_opened"]["log"] == f"{tmp_path}/data/log/00"
    assert (first["log_opened"]["sequence"], first["log_opened"]["damages"]) == (1, 0)
    assert first["ready"]["address"] == f"http://127.0.0.1:{collector.port}"
    assert (first["unknown_property"]["key"], first["unknown_property"]["count"]) == ("1/2", 1)
    died = first["worker_died"]
    assert (died["worker_pid"], died["cause"], died["restarts"]) == (victim.pid, "SIGKILL", 1)
    assert (first["stopping"]["workers"], first["stopped"]["exit_code"]) == (1, 0)


@pytest.mark.parametrize("line_format", ["text", "json"])
def test_a_start_that_fails_says_why_in_the_same_form(tmp_path: Path, line_format: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/dead").mkdir()
    (tmp_path / "data/dead/00").touch()  # in the place of a log's folder
    collector = Collector(tmp_path, workers=1, settings=_SETTINGS.format(format=line_format))
    with pytest.raises(AssertionError):
        collector.start()
    collector.kill()
    *_, last = collector.stderr.splitlines()
    if line_format == "json":
        assert all(json.loads(line) for line in collector.stderr.splitlines())
        assert json.loads(last)["event"] == "start_failed"
    else:
        assert re.match(r"\d{4}-\S+Z CRITICAL \[\d+\] start_failed: ", last)
    assert f"{tmp_path}/data/dead/00" in last
