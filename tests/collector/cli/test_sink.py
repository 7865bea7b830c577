"""`collector sink`: what an operator sees of sinks, and how one that is gone lets go of the log."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from bench.processes import free_port
from collector.cli import main, sink_ls
from tests.running import PROGRAMS, eventually, running
from wal.files import Files
from wal.folder import LogFolder

SETTINGS = """
[server]
port = {port}
workers = {workers}
grace_seconds = 1
[log]
segment_bytes = 1048576
retain_hours = 0
[[property]]
portal_id = 33167
prop_id = 564990801
required = ["ea"]
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.05
"""
AWAY = """
[[sink]]
type = "http"
name = "away"
url = "http://127.0.0.1:%d/?key=secret"
"""
NEWEST = """
[[sink]]
type = "file"
name = "newest"
dir = "data/newest"
start = "newest"
flush_seconds = 0.05
"""


def _sink_ls(folder: Path) -> dict[str, str]:
    """What `collector sink ls` prints, by sink."""
    command = [str(PROGRAMS / "collector"), "sink", "ls", "--config", str(folder / "collector.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    head, *lines = done.stdout.splitlines()
    assert head.split("\t") == (
        ["sink", "log", "state", "events behind", "bytes behind", "seconds", "next seq", "last error"]
    )
    return {line.split()[0]: line.replace("\t", "  ").rstrip() for line in lines}


def test_a_running_collector_shows_who_is_behind_and_why(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, workers=1, settings=SETTINGS + AWAY % port) as collector:
        for _ in range(3):
            assert collector.post({"ea": "view"}).status == 200
        eventually(lambda: re.search(r"data/log/00 +up .* 0 +0 +0 +4$", _sink_ls(tmp_path)["file"]), "all is shipped")
        eventually(lambda: " down " in _sink_ls(tmp_path)["away"], "the other is down")
        line = _sink_ls(tmp_path)["away"]
        assert re.search(r"down \d+:\d\d:\d\d +3 +\d+ +\d+\.\d +1  ", line)
        assert f"127.0.0.1:{port}" in line
        assert "can't connect" in line
        assert "secret" not in line + collector.stderr
        command = [str(PROGRAMS / "collector"), "sink", "ls", "--json", "--config", str(tmp_path / "collector.toml")]
        printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
        away, file = sorted(map(json.loads, printed.splitlines()), key=lambda sink: sink["sink"])
        assert (file["state"], file["events_behind"], file["oldest_ms"], file["next"]) == ("up", 0, None, 4)
        assert (away["state"], away["log"], away["events_behind"], away["next"]) == ("down", "data/log/00", 3, 1)
        assert collector.post({"ea": "view"}).status == 200
    assert "not running" in _sink_ls(tmp_path)["away"]


def test_a_sink_that_was_taken_out_holds_segments_until_it_is_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(tmp_path, workers=1, settings=SETTINGS + AWAY % free_port()) as collector:
        assert collector.post({"ea": "view"}).status == 200
        assert collector.stop() == 0
    config = ["--config", str(tmp_path / "collector.toml")]
    assert main(["sink", "drop", "away", *config]) == 1
    assert "take it out" in capsys.readouterr().err
    with running(tmp_path, workers=1, settings=SETTINGS):
        assert "`collector sink drop away`" in _sink_ls(tmp_path)["away"]
        assert main(["sink", "drop", "away", *config]) == 0
        assert capsys.readouterr().out == f"{tmp_path}/data/log/00: holds no segments for away any more\n"
        assert set(_sink_ls(tmp_path)) == {"file"}
        assert main(["sink", "drop", "away", *config]) == 1
        assert "`collector sink ls`" in capsys.readouterr().err


def test_a_sink_that_a_running_collector_ships_to_is_not_dropped_also_if_the_file_was_edited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(tmp_path, workers=1, settings=SETTINGS + AWAY % free_port()) as collector:
        assert collector.post({"ea": "view"}).status == 200
        eventually(lambda: " down " in _sink_ls(tmp_path)["away"], "it is shipped, or tried to be")
        config = tmp_path / "collector.toml"
        edited = config.read_text().partition(AWAY[: AWAY.index("http")])[0]
        config.write_text(edited)
        assert main(["sink", "drop", "away", "--config", str(config)]) == 1
        err = capsys.readouterr().err
        assert f"{tmp_path}/data/log/00: a collector that still has sink away in its settings ships to it" in err
        assert (tmp_path / "data/log/00/cursors/away.json").exists()
        collector.kill()
        assert main(["sink", "drop", "away", "--config", str(config)]) == 0
    assert set(_sink_ls(tmp_path)) == {"file"}


def test_a_clock_that_was_set_back_makes_no_duration_negative(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path, workers=1, settings=SETTINGS + AWAY % free_port()) as collector:
        assert collector.post({"ea": "view"}).status == 200
        eventually(lambda: " down " in _sink_ls(tmp_path)["away"], "it is down")
        monkeypatch.setattr(sink_ls, "now_ms", lambda: 1_000_000_000_000)
        assert main(["sink", "ls", "--config", str(tmp_path / "collector.toml")]) == 0
    (line,) = [line.replace("\t", " ") for line in capsys.readouterr().out.splitlines() if line.startswith("away")]
    assert re.search(r"down 0:00:00 +1 +\d+ +0\.0 +1 ", line)


def test_a_sink_that_stopped_says_why_also_when_its_collector_is_gone(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, settings=SETTINGS) as collector:
        assert collector.post({"ea": "view"}).status == 200
        eventually(collector.shipped, "it is delivered")
        assert collector.stop() == 0
    (mark,) = (tmp_path / "data/events/_tracklog").glob("*.json")
    mark.write_text(re.sub(r'"chain":"[0-9a-f]+"', '"chain":"00000000"', mark.read_text()))
    with running(tmp_path, workers=1, settings=SETTINGS) as collector:
        eventually(lambda: " stopped " in _sink_ls(tmp_path)["file"], "the sink is stopped")
        assert collector.post({"ea": "view"}).status == 200, "intake goes on"
        assert collector.stderr.count("sink file stopped: ") == 1
        collector.kill()
    assert re.search(
        rf" stopped 0:.*was it restored from a backup.* move the mark away: {mark.parent}", _sink_ls(tmp_path)["file"]
    )


def test_a_new_sink_starts_at_the_oldest_or_the_newest_event(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, settings=SETTINGS) as collector:
        assert collector.post({"ea": "view", "n": 1}).status == 200
        assert collector.stop() == 0
    oldest = NEWEST.replace("newest", "oldest")
    with running(tmp_path, workers=1, settings=SETTINGS + NEWEST + oldest) as collector:
        assert collector.post({"ea": "view", "n": 2}).status == 200
        assert collector.stop() == 0
    assert [record["event"]["n"] for record in collector.shipped("data/newest")] == [2]
    assert [record["event"]["n"] for record in collector.shipped("data/oldest")] == [1, 2]


def test_a_sink_that_starts_at_the_newest_has_its_place_before_the_first_event(tmp_path: Path) -> None:
    settings = SETTINGS + NEWEST.replace("data/newest", "/proc/nowhere")
    with running(tmp_path, workers=1, settings=settings) as collector:
        collector.kill()
    files, log = Files(), str(tmp_path / "data/log/00")
    cursor = LogFolder(files, log).cursor("newest")
    assert cursor
    assert cursor.acked.sequence == 1


def test_a_damaged_cursor_stops_its_sink_alone_and_says_so(tmp_path: Path) -> None:
    both = SETTINGS + NEWEST.replace("newest", "other").replace('start = "other"', 'start = "oldest"')
    with running(tmp_path, workers=1, settings=both) as collector:
        assert collector.post({"ea": "view", "n": 1}).status == 200
        assert collector.stop() == 0
    cursor = tmp_path / "data/log/00/cursors/other.json"
    cursor.write_bytes(cursor.read_bytes().replace(b'"seq":', b'"seq": '))
    with running(tmp_path, workers=1, settings=both) as collector:
        assert collector.post({"ea": "view", "n": 2}).status == 200
        eventually(lambda: len(collector.shipped()) == 2, "the other sink goes on")
        eventually(lambda: "unreadable" in _sink_ls(tmp_path)["other"], "it is shown")
        assert "sink other stopped" in collector.stderr
    assert [record["event"]["n"] for record in collector.shipped("data/other")] == [1]


def test_an_event_waits_for_its_sink_where_its_property_says_so(tmp_path: Path) -> None:
    acknowledged = SETTINGS.replace('required = ["ea"]', 'required = ["ea"]\nack = "shipped"\nack_sink = "file"')
    with running(tmp_path, workers=1, settings=acknowledged) as collector:
        response = collector.post({"ea": "view"})
        assert (response.status, response.headers["x-event-ack"]) == (200, "shipped")
        assert [record["id"] for record in collector.shipped()] == [response.headers["x-event-id"]]


def test_after_ack_seconds_it_says_that_the_event_may_still_be_delivered(tmp_path: Path) -> None:
    patience = 'required = ["ea"]\nack = "shipped"\nack_sink = "away"\nack_seconds = 0.2'
    settings = SETTINGS.replace('required = ["ea"]', patience) + AWAY % free_port()
    with running(tmp_path, workers=1, settings=settings) as collector:
        response = collector.post({"ea": "view"})
        assert (response.status, response.headers["x-event-ack"]) == (503, "fsync")
        assert "may still be delivered" in response.json()["message"]
        assert [record["id"] for record in collector.stored()] == [response.headers["x-event-id"]]
