"""Redrive and replay from the console: a preview freezes what the job takes, and a job outlives what started it."""

import errno
import json
import logging
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.ops.console.jobs.files import JobActor
from collector.ops.console.jobs.jobs import Jobs
from tests.collector.ops.console.looked_up import START_MS, LookedUp
from tests.destinations.files import contents_of, lines_in
from tests.destinations.http import HttpReceiver
from tests.running import eventually, read_log
from wal.log import now_ms

_GOOD = '{"ea":"sale","ec":"till"}'


@pytest.fixture
def node(tmp_path: Path) -> LookedUp:
    """A node that allows actions."""
    return LookedUp(tmp_path)


def _selection(**members: object) -> dict[str, Any]:
    return {"selection": {"reason": None, "property": None, "since": None, "ids": None, **members}}


def _replay(**members: object) -> dict[str, Any]:
    return {"sink": "file", "from": START_MS, "to": None, "where": [], "name": "", "dead_letters": False, **members}


def _run(node: LookedUp, plan: dict[str, Any]) -> dict[str, Any]:
    """The job of a plan, once it has ended."""
    name = node.send("POST", "/api/jobs", {"plan": plan["plan"]}, 202)["job"]
    return _ended(node, name)


def _job(node: LookedUp, name: str) -> dict[str, Any]:
    (job,) = (each for each in node.json("/api/jobs")["jobs"] if each["id"] == name)
    found: dict[str, Any] = job
    return found


def _ended(node: LookedUp, name: str) -> dict[str, Any]:
    eventually(lambda: _job(node, name)["state"] != "running", "the job has ended")
    return _job(node, name)


def test_a_redrive_takes_what_its_preview_counted_and_nothing_that_came_later(node: LookedUp) -> None:
    ids = node.append_dead(_GOOD, _GOOD, "{", '{"ea":"x"}')
    node.append_dead(_GOOD, prop_id=9)
    plan = node.send("POST", "/api/redrive/preview", _selection())
    assert {name: plan[name] for name in ("letters", "events", "redriven_before", "unknown", "of_sinks")} == {
        "letters": 5,
        "events": 2,
        "redriven_before": 0,
        "unknown": 1,
        "of_sinks": 0,
    }
    assert sum(plan["still_refused"].values()) == 2
    assert 500_000 < plan["expires_ms"] - now_ms() <= 600_000
    assert not (node.folder / "data/log").exists()
    node.append_dead(_GOOD)
    node.append_dead(_GOOD, shard="01")
    job = _run(node, plan)
    assert (job["kind"], job["state"], job["exit_code"], job["done"], job["total"]) == ("redrive", "done", 0, 5, 5)
    assert job["message"] == "2 events redriven, 0 redriven before, 2 are still refused"
    assert job["started_ms"] <= job["ended_ms"]
    assert job["request"] == _selection()
    assert [record["event"] for record in read_log(node.folder / "data/log")] == [json.loads(_GOOD)] * 2
    assert {each["id"]: each["redriven"] for each in node.json("/api/dead")["letters"]}[ids[0]] is True
    assert node.send("POST", "/api/redrive/preview", _selection())["would_pass"] == 2


def test_a_preview_tells_events_and_those_that_were_redriven_before(node: LookedUp) -> None:
    refused = [{"reason": "was wrong", "errors": [], "indexes": [0, 1]}]
    node.append_dead(f"[{_GOOD},{_GOOD}]", refusals=refused)
    node.append_dead(f"[{_GOOD},{_GOOD},{_GOOD}]", _GOOD)
    plan = node.send("POST", "/api/redrive/preview", _selection())
    assert (plan["letters"], plan["events"], plan["redriven_before"]) == (3, 6, 0)
    assert _run(node, plan)["message"] == "6 events redriven, 0 redriven before, 0 are still refused"
    plan = node.send("POST", "/api/redrive/preview", _selection())
    assert (plan["letters"], plan["events"], plan["redriven_before"]) == (3, 0, 6)
    assert _run(node, plan)["message"] == "0 events redriven, 6 redriven before, 0 are still refused"


def test_a_plan_runs_once(node: LookedUp) -> None:
    node.append_dead("{")
    plan = node.send("POST", "/api/redrive/preview", _selection())
    _run(node, plan)
    assert node.send("POST", "/api/jobs", {"plan": plan["plan"]}, 410)["code"] == "expired"
    assert node.send("POST", "/api/jobs", {"plan": "none"}, 410)["code"] == "expired"


@pytest.mark.parametrize("step", ["Popen", "save"])
def test_a_job_that_can_not_begin_leaves_its_plan_and_nothing_else(
    node: LookedUp, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    node.append_dead(_GOOD)
    plan = node.send("POST", "/api/redrive/preview", _selection())
    begun: list[subprocess.Popen[bytes]] = []

    class Recorded(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            begun.append(self)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", fail if step == "Popen" else Recorded)
        if step == "save":
            patched.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            node.jobs.start(plan["plan"], str(node.config), JobActor("anybody", "127.0.0.1"))
    assert [process.returncode for process in begun] == [-signal.SIGKILL] * (step == "save")
    assert os.listdir(node.folder / "data/console/jobs") == []
    assert node.jobs.listed() == []
    assert _run(node, plan)["state"] == "done"


def test_letters_are_selected_as_the_list_shows_them(node: LookedUp) -> None:
    missing = [{"field": "sid", "code": "missing", "message": "missing"}]
    ids = node.append_dead(_GOOD, _GOOD, errors=missing)
    node.append_dead(_GOOD)
    node.append_dead(_GOOD, errors=missing, prop_id=9)
    node.append_dead(_GOOD, errors=missing, ms=START_MS + 60_000)
    chosen = {"reason": "sid: missing", "property": "33167/2"}
    assert node.send("POST", "/api/redrive/preview", _selection(**chosen))["would_pass"] == 3
    assert node.send("POST", "/api/redrive/preview", _selection(**chosen, since=START_MS + 1))["would_pass"] == 1
    assert node.send("POST", "/api/redrive/preview", _selection(**chosen, ids=ids[:1]))["would_pass"] == 1
    assert node.send("POST", "/api/redrive/preview", _selection(reason="--config=/etc/passwd"))["would_pass"] == 0


def test_a_replay_of_a_job_s_request_sends_nothing_again(node: LookedUp) -> None:
    node.write()
    job = _run(node, node.send("POST", "/api/replay/preview", _replay()))
    plan = node.send("POST", "/api/replay/preview", job["request"])
    assert (job["done"], plan["events"], plan["already_sent"]) == (3, 3, 3)


def test_a_replay_sends_what_its_preview_counted_and_knows_what_an_earlier_one_sent(node: LookedUp) -> None:
    node.write(blocks=2)
    node.append_dead("{")
    wanted = _replay(to=START_MS + 1500, where=["prop_id=2"])
    plan = node.send("POST", "/api/replay/preview", wanted)
    assert (plan["events"], plan["already_sent"]) == (6, 0)
    assert plan["bytes"] > 1000
    node.write(ms=START_MS + 1400)
    node.write("01")
    job = _run(node, plan)
    assert (job["state"], job["done"], job["message"]) == (
        "done",
        6,
        "6 events sent, 0 by an earlier run, 0 refused by the sink",
    )
    assert job["title"] == "replay to file, 2024-05-01T12:00:00Z to 2024-05-01T12:00:01Z"
    assert len(lines_in(contents_of(node.folder / "data/events"))) == 6
    again = node.send("POST", "/api/replay/preview", wanted)
    assert (again["events"], again["already_sent"]) == (12, 6)
    other = node.send("POST", "/api/replay/preview", {**wanted, "name": "another"})
    assert other["already_sent"] == 0


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/api/replay/preview", _replay(sink="none"), "bad_body"),
        ("/api/replay/preview", _replay(to=START_MS), "bad_body"),
        ("/api/replay/preview", _replay(to=0), "bad_body"),
        ("/api/replay/preview", _replay(where=["x"]), "bad_body"),
        ("/api/replay/preview", _replay(where=["a=\0"]), "bad_body"),
        ("/api/replay/preview", _replay(where=["a=b"] * 21), "bad_body"),
        ("/api/replay/preview", _replay(name="../../x"), "bad_body"),
        ("/api/replay/preview", _replay(where=["uid=u-1"]), "redacted"),
        ("/api/replay/preview", _replay(where=["event.uid=u-1"]), "redacted"),
        ("/api/redrive/preview", _selection(reason="x" * 201), "bad_body"),
        ("/api/redrive/preview", _selection(property="1/2 OR 1"), "bad_body"),
        ("/api/redrive/preview", _selection(ids=["--help"]), "bad_body"),
        ("/api/redrive/preview", _selection(since=-1), "bad_body"),
        ("/api/redrive/preview", _selection(more=1), "bad_body"),
        ("/api/jobs", {"plan": "x" * 65}, "bad_body"),
    ],
)
def test_requests_out_of_bounds_are_refused(tmp_path: Path, path: str, body: object, code: str) -> None:
    node = LookedUp(tmp_path, 'redact = ["uid"]')
    node.write()
    node.append_dead("{")
    assert node.send("POST", path, body, 400)["code"] == code


def test_without_a_log_there_is_nothing_to_run(node: LookedUp) -> None:
    assert node.send("POST", "/api/redrive/preview", _selection(), 404)["code"] == "not_found"
    assert node.send("POST", "/api/replay/preview", _replay(), 404)["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/redrive/preview"),
        ("POST", "/api/replay/preview"),
        ("POST", "/api/jobs"),
        ("DELETE", "/api/jobs/1"),
    ],
)
def test_a_console_that_only_reads_runs_nothing(tmp_path: Path, method: str, path: str) -> None:
    node = LookedUp(tmp_path)
    node = LookedUp(tmp_path, settings=node.config.read_text().replace("allow_actions = true", ""))
    assert node.send(method, path, {}, 403)["code"] == "actions_off"
    assert node.json("/api/jobs") == {"jobs": []}


@pytest.fixture
def blocked_interrupts() -> Iterator[None]:
    """SIGINT is blocked, as in the admin process, and children inherit that."""
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


@pytest.mark.usefixtures("blocked_interrupts")
def test_a_job_that_is_stopped_keeps_what_it_has_done_and_another_process_lists_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "collector")
    receiver = HttpReceiver(tmp_path)
    node = LookedUp(tmp_path, settings=LookedUp(tmp_path).config.read_text() + receiver.toml())
    try:
        node.write()
        receiver.down()
        plan = node.send("POST", "/api/replay/preview", _replay(sink="http"))
        name = node.send("POST", "/api/jobs", {"plan": plan["plan"]}, 202)["job"]
        eventually(lambda: "can't connect" in _job(node, name)["message"], "the job tells why it waits")
        another = node.send("POST", "/api/replay/preview", _replay(sink="http"))
        assert node.send("POST", "/api/jobs", {"plan": another["plan"]}, 409)["code"] == "busy"
        hiding = Jobs(str(tmp_path / "data/console/jobs"), is_hiding=True)
        assert [each["message"] for each in hiding.recent()] == ["hidden by admin.redact; the folder admin.dir has it"]
        successor = Jobs(str(tmp_path / "data/console/jobs"))
        (shown,) = successor.recent()
        assert (shown["id"], shown["state"], shown["total"]) == (name, "running", 3)
        successor.stop(name)
        assert (_ended(node, name)["state"], _ended(node, name)["exit_code"]) == ("stopped", 130)
        eventually(lambda: "stopped, " in caplog.text, "the end is in the process log")
        assert [state.state for _, state in successor.listed()] == ["stopped"]
        assert successor.recent()[0]["state"] == "stopped"
        node.send("DELETE", f"/api/jobs/{name}", status=204)
        assert node.send("DELETE", "/api/jobs/none", status=404)["code"] == "not_found"
        assert f"replay by anybody on loopback from 127.0.0.1: job {name}, replay to http" in caplog.text
    finally:
        for job, state in node.jobs.listed():
            if state.state == "running":
                os.kill(job.pid, signal.SIGKILL)
        receiver.close()


def test_a_job_that_fails_says_why(node: LookedUp) -> None:
    node.append_dead(_GOOD)
    plan = node.send("POST", "/api/redrive/preview", _selection())
    node.config.write_text("nonsense")
    job = _run(node, plan)
    assert (job["state"], job["exit_code"]) == ("failed", 1)
    assert job["message"].startswith("collector: ")
    assert node.send("POST", "/api/redrive/preview", _selection(), 500)["code"] == "failed"
