"""Redrive and replay from the console of a collector that runs: nothing is lost, and nothing counts twice."""

import json
import subprocess
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, eventually, running

_SETTINGS = """
[server]
port = {port}
workers = {workers}
[admin]
port = 0
dir = "data/console"
allow_actions = true
[[property]]
portal_id = 33167
prop_id = 2
required = {required}
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.2
"""


def _ask(collector: Collector, method: str, path: str, body: object = None) -> Any:
    connection = HTTPConnection("127.0.0.1", collector.admin_port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        assert response.status < 300, content
        return json.loads(content) if content else None
    finally:
        connection.close()


def _post(collector: Collector, event: dict[str, object]) -> int:
    connection = HTTPConnection("127.0.0.1", collector.port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("POST", "/event?portal_id=33167&prop_id=2", json.dumps(event))
        return connection.getresponse().status
    finally:
        connection.close()


def _run(collector: Collector, kind: str, wanted: dict[str, object]) -> dict[str, Any]:
    """Preview a job, run it, and return its preview; it ends well."""
    plan: dict[str, Any] = _ask(collector, "POST", f"/api/{kind}/preview", wanted)
    name = _ask(collector, "POST", "/api/jobs", {"plan": plan["plan"]})["job"]

    def has_ended() -> bool:
        (job,) = (each for each in _ask(collector, "GET", "/api/jobs")["jobs"] if each["id"] == name)
        assert job["state"] in ("running", "done"), job
        return bool(job["state"] == "done")

    eventually(has_ended, "the job is done")
    return plan


def test_the_audit_balances_after_a_redrive_and_a_replay(tmp_path: Path) -> None:
    strict = _SETTINGS.replace("{required}", '["ea", "ec", "sid"]')
    with running(tmp_path, workers=1, settings=strict) as collector:
        assert [_post(collector, {"ea": "a", "ec": "b", "sid": 1}) for _ in range(3)] == [200] * 3
        assert [_post(collector, {"ea": "a", "ec": "b"}) for _ in range(2)] == [400] * 2
        (stored, *_) = _ask(collector, "GET", "/api/search?kind=stored")["rows"]
        config = tmp_path / "collector.toml"
        config.write_text(config.read_text().replace('["ea", "ec", "sid"]', '["ea", "ec"]'))
        selection = {"reason": "sid: missing", "property": "33167/2", "since": None, "ids": None}
        assert _run(collector, "redrive", {"selection": selection})["would_pass"] == 2
        eventually(lambda: len(collector.shipped()) == 5, "the redriven events are shipped")
        sinks = _ask(collector, "GET", f"/api/event/{stored[1]}")["sinks"]
        assert [(each["name"], each["state"]) for each in sinks] == [("file", "delivered")]
        wanted = {"sink": "file", "from": stored[2] - 60_000, "to": None}
        assert _run(collector, "replay", wanted)["events"] == 5
        assert {each["shard"] for each in _ask(collector, "GET", "/api/shards")["shards"]} == {"00", "redrive"}
        assert collector.stop() == 0
        assert "redrive by anybody on loopback from 127.0.0.1" in collector.stderr
    audit = [str(PROGRAMS / "collector"), "audit", "--config", str(config)]
    done = subprocess.run(audit, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
