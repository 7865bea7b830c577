"""The admin address of a running collector: it tells the truth, and whatever becomes of its process, intake goes on."""

import asyncio
import json
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
from starlette.types import ASGIApp, Message

from bench.processes import is_connectable
from collector.ops.counters import CounterBlock
from collector.server.admin_app import Admin, create_admin_app
from collector.server.admin_connection import MOST_CONNECTIONS
from collector.server.exit_codes import PASSING_FAILURE
from collector.server.node_state import NodeState, WorkerState
from collector.settings import Settings, load_settings
from collector.settings.digest import settings_digest
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, Response, eventually, running
from wal import __version__

_EVENT = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
_SETTINGS = """
[server]
port = {port}
workers = {workers}
grace_seconds = 5
shutdown_delay = 300
[admin]
port = 0
[[property]]
portal_id = 33167
prop_id = 564990801
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.05
"""
_TOKEN = "a-token-that-is-long-enough"


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Two workers and an admin process."""
    with running(tmp_path, workers=2, settings=_SETTINGS) as collector:
        yield collector


def _get(collector: Collector, path: str, method: str = "GET", **headers: str) -> Response:
    connection = HTTPConnection("127.0.0.1", collector.admin_port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return Response(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def _ready_workers(collector: Collector) -> list[int]:
    """The pids of the workers that are ready."""
    return [worker["pid"] for worker in _get(collector, "/readyz").json()["workers"] if worker["ready"]]


def test_the_status_tells_what_the_node_is_and_has(collector: Collector) -> None:
    assert _get(collector, "/livez").json() == {"status": "alive"}
    for _ in range(10):
        assert collector.post(_EVENT).status == 200
    eventually(lambda: len(collector.shipped()) == 10, "all is shipped")
    config = str(collector.folder / "collector.toml")
    eventually(lambda: {sink["lag_events"] for sink in _get(collector, "/status").json()["sinks"]} == {0}, "no lag")
    response = _get(collector, "/status")
    status = response.json()
    assert response.headers["cache-control"] == "no-store"
    assert (status["status"], status["version"]) == ("ready", __version__)
    assert status["settings"] == {"file": config, "digest": settings_digest(load_settings(config))}
    assert status["uptime_seconds"] >= 0
    assert sorted(worker["shard"] for worker in status["workers"]) == ["00", "01"]
    assert {(worker["state"], worker["restarts"]) for worker in status["workers"]} == {("serving", 0)}
    assert sum(shard["next_sequence"] - 1 for shard in status["shards"]) == 10
    assert all(shard["segments"] >= 1 and shard["bytes"] > 0 for shard in status["shards"])
    sinks = [(sink["sink"], sink["shard"], sink["state"], sink["error"]) for sink in status["sinks"]]
    assert sinks == [("file", "00", "up", ""), ("file", "01", "up", "")]


def test_a_killed_admin_process_comes_back_on_its_port_and_intake_goes_on(collector: Collector) -> None:
    (first,) = collector.admin_processes()
    supervisor = psutil.Process(collector.process.pid)
    assert first.nice() == min(supervisor.nice() + 10, 19), "it must not slow intake"
    first.kill()
    assert collector.post(_EVENT).status == 200
    assert _get(collector, "/livez").status == 200, "connections wait for the next process"
    eventually(collector.admin_processes, "there is another")
    assert first not in collector.admin_processes()
    assert len(_ready_workers(collector)) == 2, "the next process knows the node as well"
    assert f"the admin process {first.pid} died: SIGKILL; starts again in 0 s" in collector.stderr
    assert " restarts so far" not in collector.stderr


def test_an_admin_process_that_hangs_holds_up_neither_intake_nor_the_supervisor(collector: Collector) -> None:
    victim = psutil.Process(_ready_workers(collector)[0])
    collector.admin_processes()[0].suspend()
    victim.kill()
    eventually(lambda: "restarts so far: 1" in collector.stderr, "the supervisor goes on")
    assert collector.post(_EVENT).status == 200
    collector.process.terminate()
    eventually(lambda: " draining: " in collector.stderr, "the drain has begun")
    assert collector.stop(signal.SIGINT) == 130, "a hanging process does not hold up the stop"


def test_a_killed_worker_is_seen_with_the_cause_and_its_successor(collector: Collector) -> None:
    victim = _ready_workers(collector)[0]
    psutil.Process(victim).kill()
    eventually(lambda: victim not in _ready_workers(collector), "the death is seen")
    assert _get(collector, "/readyz").status == 200, "the other one takes events"
    eventually(lambda: len(_ready_workers(collector)) == 2, "its successor is ready")
    workers = _get(collector, "/status").json()["workers"]
    assert sorted((worker["restarts"], worker["last_death"]) for worker in workers if worker["restarts"]) == [
        (1, "SIGKILL")
    ]


def test_a_drain_is_red_on_the_admin_address_which_ends_last(collector: Collector) -> None:
    port = collector.admin_port
    assert _get(collector, "/readyz").status == 200
    collector.process.terminate()
    collector.admin_processes()[0].terminate()  # as a manager does that ends a whole process group
    eventually(lambda: _get(collector, "/readyz").status == 503, "the drain is seen")
    assert _get(collector, "/readyz").json()["reason"] == "draining"
    assert _get(collector, "/livez").status == 200
    assert collector.stop(signal.SIGINT) == 130
    assert "admin process" not in collector.stderr
    assert not is_connectable(port)


@pytest.mark.parametrize("ending", ["stop", "death"])
def test_viewers_are_told_of_the_end_of_the_node(tmp_path: Path, ending: str) -> None:
    with running(tmp_path, settings=_SETTINGS.replace("shutdown_delay = 300", "")) as collector:
        connection = HTTPConnection("127.0.0.1", collector.admin_port, timeout=PATIENCE_SECONDS)
        connection.request("GET", "/api/stream?topics=now")
        stream = connection.getresponse()
        assert stream.readline() != b""
        if ending == "stop":
            assert collector.stop() == 0
        else:
            collector.process.kill()
        last = stream.read().decode().strip().split("\n\n")[-1]
        assert last == 'event: bye\ndata: {"reason":"stop","retry_ms":1000}'
        stream.close()


def test_the_admin_process_ends_when_its_supervisor_is_killed(collector: Collector) -> None:
    (admin,) = collector.admin_processes()
    collector.process.kill()
    assert psutil.wait_procs([admin], PATIENCE_SECONDS)[1] == []


def test_clients_that_send_no_request_or_one_without_an_end_keep_nobody_out(collector: Collector) -> None:
    address = ("127.0.0.1", collector.admin_port)
    with ExitStack() as stack:
        for number in range(2 * MOST_CONNECTIONS):
            silent = stack.enter_context(socket.create_connection(address, timeout=PATIENCE_SECONDS))
            silent.sendall(b"GET /livez HTTP/1.1\r\nx: "[:number])
        assert _get(collector, "/readyz").status == 200
        (admin,) = collector.admin_processes()
        eventually(lambda: len(admin.net_connections("tcp")) <= MOST_CONNECTIONS + 1, "the oldest have made room")
        silent.sendall(b"a" * (1 << 20))
        assert _status(silent) == 431


_REQUESTS = {
    "a log-in without its end": (
        b"POST /api/session HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"
    ),
    "many pages": b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 500,
}


@pytest.mark.parametrize("kind", _REQUESTS)
def test_clients_that_send_slowly_or_read_nothing_keep_no_probe_out(guarded: Collector, kind: str) -> None:
    with ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS):
            busy = stack.enter_context(socket.socket())
            busy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            busy.connect(("127.0.0.1", guarded.admin_port))
            with suppress(ConnectionError):
                busy.sendall(_REQUESTS[kind])
        assert [_get(guarded, "/livez").status for _ in range(5)] == [200] * 5
    assert " uncaught: " not in guarded.stderr


def test_headers_that_never_end_take_no_memory(collector: Collector) -> None:
    (admin,) = collector.admin_processes()
    before = admin.memory_info().rss
    with ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", collector.admin_port)))
            client.settimeout(PATIENCE_SECONDS)
            client.sendall(b"GET /livez HTTP/1.1\r\n" + b"a:\r\n" * 120_000)
            assert _status(client) == 431
        assert admin.memory_info().rss < before + (40 << 20)


def _status(client: socket.socket) -> int:
    """The status of the response that comes, after which the connection ends."""
    response = client.makefile("rb").read()
    return int(response.split()[1])


def test_a_worker_that_hangs_is_not_ready() -> None:
    block = CounterBlock.create()
    block.pid = 7
    app = _app(block)
    status, body = asyncio.run(_ask(app, "/readyz"))
    assert (status, json.loads(body)["reason"]) == (503, "hung")
    block.beat()
    assert asyncio.run(_ask(app, "/readyz"))[0] == 200


def test_one_scrape_is_rendered_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    running_now, most = Counter[str](), Counter[str]()

    def render(*_: object) -> bytes:
        running_now["scrapes"] += 1
        most["scrapes"] = max(most["scrapes"], running_now["scrapes"])
        time.sleep(0.01)
        running_now["scrapes"] -= 1
        return b"metrics"

    monkeypatch.setattr("collector.server.admin_app.render", render)

    async def scrape() -> list[tuple[int, bytes]]:
        app = _app(CounterBlock.create())
        return await asyncio.gather(*(_ask(app, "/metrics") for _ in range(5)))

    assert asyncio.run(scrape()) == [(200, b"metrics")] * 5
    assert most["scrapes"] == 1


def _app(block: CounterBlock) -> ASGIApp:
    """The admin application of a node with one worker, whose pid is 7."""
    state = NodeState((WorkerState(0, "serving", 7, "00", None),))
    return create_admin_app(Admin(Settings(), "collector.toml", lambda: state, (block,)))


async def _ask(app: ASGIApp, path: str) -> tuple[int, bytes]:
    """The status and body of the response to a GET."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [(b"host", b"127.0.0.1")]}
    await app(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A full disk, and an admin address for which a token is needed."""
    settings = _SETTINGS.replace("port = 0", 'port = 0\ntoken = "env:TRACKLOG_TEST_ADMIN"').replace("300", "0")
    full = f"[log]\nmin_free_bytes = {1 << 60}\nwarn_free_bytes = {1 << 60}\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKLOG_TEST_ADMIN", _TOKEN)
        with running(tmp_path_factory.mktemp("guarded"), 1, settings + full) as collector:
            yield collector


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": _TOKEN}, 401),
        ({"authorization": f"Bearer {_TOKEN}x"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"x-write-key": _TOKEN}, 401),
        ({"authorization": f"Bearer {_TOKEN}"}, 200),
        ({"authorization": f"bearer {_TOKEN}"}, 200),
    ],
)
def test_with_a_token_every_path_but_the_probes_needs_it(
    guarded: Collector, headers: dict[str, str], status: int
) -> None:
    response = _get(guarded, "/status", **headers)
    assert response.status == status
    assert _TOKEN not in response.body.decode()
    assert _get(guarded, "/nothing", **headers).status == (401 if status == 401 else 404)
    assert _get(guarded, "/livez", **headers).status == 200


def test_a_node_whose_disk_is_full_is_not_ready(guarded: Collector) -> None:
    eventually(lambda: _get(guarded, "/readyz").status == 503, "it is red")
    readiness = _get(guarded, "/readyz").json()
    assert (readiness["status"], readiness["reason"]) == ("not ready", "disk_full")
    assert [worker["reason"] for worker in readiness["workers"]] == ["disk_full"]


def test_health_is_a_command(collector: Collector, guarded: Collector) -> None:
    assert _health(collector) == (0, "ready\n")
    eventually(lambda: _health(guarded)[0] == 1, "it is red")
    assert _health(guarded)[1].startswith("not ready: disk_full, the disk has no room")
    collector.kill()
    code, line = _health(collector)
    assert (code, line.partition(": ")[0]) == (1, f"no response from 127.0.0.1 port {collector.port}")


def _health(collector: Collector) -> tuple[int, str]:
    command = [str(PROGRAMS / "collector"), "health", "--config", str(collector.folder / "collector.toml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    return done.returncode, done.stdout


def test_an_admin_port_that_is_taken_is_reported_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        collector = Collector(tmp_path, settings=_SETTINGS.replace("port = 0", f"port = {taken}"))
        command = [str(PROGRAMS / "collector"), "serve", "--config", str(tmp_path / "collector.toml")]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == PASSING_FAILURE
    message = f"can't listen on 127.0.0.1 port {taken}: Address already in use; see admin.host and admin.port\n"
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith(f" start_failed: {message}")
    assert not is_connectable(collector.port)
