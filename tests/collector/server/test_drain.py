"""A drain: from SIGTERM on health is red, and for `server.shutdown_delay` requests are still taken."""

import signal
from pathlib import Path

from tests.running import PATIENCE_SECONDS, Collector, Response, eventually, read_response, running

_EVENT = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
_SETTINGS = """
[server]
port = {port}
workers = {workers}
grace_seconds = 5
shutdown_delay = DELAY
[[property]]
portal_id = 33167
prop_id = 564990801
"""


def _settings(seconds: float) -> str:
    return _SETTINGS.replace("DELAY", str(seconds))


def _reason(response: Response) -> str | None:
    reason: str | None = response.json().get("reason")
    return reason if response.status == 503 else None


def test_a_drain_turns_health_red_and_takes_events_until_a_second_signal(tmp_path: Path) -> None:
    with running(tmp_path, workers=2, settings=_settings(PATIENCE_SECONDS * 10)) as collector:
        with collector.connect() as connection, connection.makefile("rb") as stream:
            request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
            connection.sendall(request)
            assert read_response(stream.readline, stream.read).status == 200
            collector.process.terminate()
            _until_drained(collector)
            connection.sendall(request)
            assert _reason(read_response(stream.readline, stream.read)) == "draining", "an open connection sees it too"
        assert {collector.post(_EVENT).status for _ in range(10)} == {200}
        assert collector.stop(signal.SIGINT) == 130
        assert "second signal: killed 2 workers" in collector.stderr
    assert len(collector.stored()) == 10


def _until_drained(collector: Collector) -> None:
    """Return once both workers are red, of which the kernel chooses one for each connection."""
    eventually(lambda: " draining: " in collector.stderr, "the drain has begun")
    eventually(
        lambda: {_reason(collector.send("GET", "/healthz")) for _ in range(20)} == {"draining"}, "all workers are red"
    )


def test_after_the_delay_the_collector_stops_as_without_one(tmp_path: Path) -> None:
    with running(tmp_path, workers=2, settings=_settings(0.1)) as collector:
        assert collector.post(_EVENT).status == 200
        assert collector.stop() == 0
        messages = [line.partition("] ")[2] for line in collector.stderr.splitlines()]
    assert messages[-3] == "draining: requests are still taken for 0.1 s, Ctrl-C again ends at once"
    assert [line.partition(":")[0] for line in messages[-2:]] == ["stopping", "stopped"]
    assert len(collector.stored()) == 1


def test_a_drain_does_not_wait_for_workers_that_have_died(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, settings=_settings(PATIENCE_SECONDS * 10)) as collector:
        collector.process.terminate()
        _until_drained(collector)
        collector.workers()[0].kill()
        assert collector.process.wait(PATIENCE_SECONDS) == 0
