"""What is done to a collector in a week, and what befalls it, each with what must be seen at once. Under `Traffic`."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

import psutil

from tests.crash.traffic import PORTAL_ID, Acknowledgement, Traffic
from tests.crash.volume import filled
from tests.destinations.http import HttpReceiver
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, Response, eventually

PROP_ID: Final = 564990801
WORKERS: Final = 2
SETTINGS: Final = """
include = ["properties/*.toml"]
[server]
port = {{port}}
workers = {{workers}}
grace_seconds = 3
[admin]
port = 0
[log]
segment_bytes = 1048576
min_free_bytes = 4194304
warn_free_bytes = 8388608
[limits]
event_bytes = 32768
[[sink]]
type = "file"
dir = "{files}"
flush_seconds = 0.2
{receiver}
"""
FILES: Final = "files"
"""The folder of the file sink, which is not on the disk of the log."""
_SINK: Final = '\n[[sink]]\ntype = "file"\nname = "{name}"\ndir = "{folder}"\nflush_seconds = 0.2\n'
_PROPERTY: Final = "[[property]]\nportal_id = {portal_id}\nprop_id = {prop_id}\n"
_EVENT: Final = {"ea": "view", "ec": "product", "sid": 1, "aid": "a"}
_PROBES: Final = 20
"""Each on a connection of its own, which the kernel gives to any worker."""


def write_settings(folder: Path, receiver: HttpReceiver) -> str:
    """The settings of two sinks, none of them on the disk of the log; properties are in files of their own."""
    (folder / "properties").mkdir()
    _write_property(folder, PROP_ID)
    escaped = receiver.toml().replace("flush_bytes = 4096", "flush_bytes = 65536").replace("{", "{{").replace("}", "}}")
    return SETTINGS.format(files=folder / FILES, receiver=escaped)


class Operations:
    """Everything that is done to one collector. Its methods wait until the effect is seen, and fail if it is not."""

    def __init__(self, collector: Collector, traffic: Traffic, receiver: HttpReceiver, seed: int) -> None:
        self.started_at = time.monotonic()
        """When the collector that runs now was started: it has acknowledged what was sent since."""
        self._collector = collector
        self._traffic = traffic
        self._receiver = receiver
        self._is_receiver_up = True
        self._random = random.Random(seed)
        self._config = collector.folder / "collector.toml"
        self._number = 0

    def kinds(self) -> list[Callable[[], None]]:
        """All that may be done, in any order."""
        return [
            *(self.swap_a_limit, self.refuse_a_bad_file, self.add_a_property, self.add_a_sink, self.audit),
            *(self.kill_a_worker, self.kill_the_supervisor, self.kill_the_admin_process, self.restart),
            *(self.move_the_receiver, self.fill_the_disk),
        ]

    def swap_a_limit(self) -> None:
        """SIGHUP with a good file: the longest event."""
        text = self._config.read_text()
        longer, shorter = "event_bytes = 65536", "event_bytes = 32768"
        old, new, status = (shorter, longer, 200) if shorter in text else (longer, shorter, 413)
        self._config.write_text(text.replace(old, new))
        self._hang_up("reload_accepted")
        assert self._probe(PROP_ID, size=40_000) == {status}

    def refuse_a_bad_file(self) -> None:
        """SIGHUP with a bad file, which stays for a while. A worker that dies meanwhile starts with the old one."""
        good = self._config.read_text()
        self._config.write_text(good.replace("[limits]", "[limitz]"))
        self._hang_up("reload_refused")
        eventually(lambda: self._ask("/status").json()["last_reload"]["is_accepted"] is False, "the status has it")
        if self._random.random() < 0.5:
            self.kill_a_worker()
        assert self._probe(PROP_ID) == {200}
        self._config.write_text(good)

    def add_a_property(self) -> None:
        """Add a file, reload, and use the property at once."""
        prop_id = self._next()
        _write_property(self._collector.folder, prop_id)
        assert f"property {PORTAL_ID}/{prop_id}: added" in self._run("reload")
        assert self._probe(prop_id) == {200}
        self._traffic.prop_ids.append(prop_id)

    def add_a_sink(self) -> None:
        """Add a table, and reload, which replaces all workers; perhaps one of them dies meanwhile."""
        name = f"sink-{self._next()}"
        folder = self._collector.folder / name
        before = self._workers()
        with self._config.open("a") as file:
            file.write(_SINK.format(name=name, folder=folder))
        with ThreadPoolExecutor(1) as pool:
            reload = pool.submit(self._run, "reload")
            if self._random.random() < 0.5:
                eventually(lambda: reload.done() or self._collector.workers() != before, "a successor starts")
                self._kill(self._random.choice(before))
            assert f"sink {name}: added" in reload.result()
        assert set(before).isdisjoint(self._collector.workers())
        uid = self._post(PROP_ID)[1]
        eventually(lambda: uid in uids(self._collector.shipped(name)), f"{name} gets events")

    def audit(self) -> None:
        """Audit the accounts while events come."""
        self._run("audit", "--json")

    def kill_a_worker(self) -> None:
        """SIGKILL, and perhaps no time to come back before the next operation."""
        self._kill(self._random.choice(self._workers()))
        if self._random.random() < 0.5:
            self.wait_for_workers()
        assert self._probe(PROP_ID) == {200}

    def kill_the_supervisor(self) -> None:
        """SIGKILL; its workers end by themselves, and then it is started again."""
        with self._traffic.outages.given():
            orphans = psutil.Process(self._collector.process.pid).children()
            self._collector.process.kill()
            self._collector.process.wait()
            _wait_for_the_end_of(orphans)
            self._start()

    def kill_the_admin_process(self) -> None:
        """SIGKILL; another one takes its place."""
        (victim,) = self._admin_processes()
        victim.kill()
        eventually(lambda: self._admin_processes() != [victim], "there is another")
        assert self._ask("/livez").status == 200

    def restart(self) -> None:
        """SIGTERM, and start it again."""
        with self._traffic.outages.given():
            assert self._collector.stop() == 0, self._collector.said
            self._start()

    def move_the_receiver(self) -> None:
        """Take one sink away, or bring it back. No health follows it."""
        if self._is_receiver_up:
            self._receiver.down()
            self._is_receiver_up = False
            assert self._ask("/readyz").status == 200
            return
        self.bring_the_receiver_back()

    def bring_the_receiver_back(self) -> None:
        """Bring the sink back, if it is away; events come there again."""
        if not self._is_receiver_up:
            before = self._receiver.received_bytes
            self._receiver.up()
            self._is_receiver_up = True
            eventually(lambda: self._receiver.received_bytes > before, "the receiver gets events again")

    def fill_the_disk(self) -> None:
        """Fill it up until requests are shed, perhaps kill a worker, and make room. Health follows both."""
        refused = len(self._traffic.refused)
        with self._traffic.unready.given():
            with filled(self._collector.folder / "data") as fill:

                def holds(condition: Callable[[], bool]) -> bool:
                    fill()  # what the log gives back, too
                    return condition()

                eventually(lambda: holds(lambda: self._health() == (503, {503})), "health is red")
                eventually(lambda: holds(lambda: len(self._traffic.refused) > refused), "requests are shed")
                if self._random.random() < 0.5:
                    self._kill(self._random.choice(self._workers()))
            self.wait_for_workers()
            eventually(lambda: self._health() == (200, {200}), "health is green again")
        assert self._probe(PROP_ID) == {200}

    def wait_for_workers(self) -> None:
        """Return once all workers are ready."""

        def are_ready() -> bool:
            workers = self._ask("/readyz").json()["workers"]
            return [worker["ready"] for worker in workers] == [True] * WORKERS

        eventually(are_ready, "all workers are ready")

    def status(self) -> Any:
        """What the admin address has at /status."""
        return self._ask("/status").json()

    def metrics(self) -> str:
        """What the admin address has at /metrics."""
        return self._ask("/metrics").body.decode()

    def _kill(self, worker: psutil.Process) -> None:
        """SIGKILL to a worker, which may just have ended by itself."""
        with self._traffic.deaths.given(), suppress(psutil.NoSuchProcess):
            worker.kill()
            _wait_for_the_end_of([worker])

    def _start(self) -> None:
        self.started_at = time.monotonic()
        self._collector.start()

    def _hang_up(self, event: str) -> None:
        before = self._collector.said.count(f" {event}: ")
        os.kill(self._collector.process.pid, signal.SIGHUP)
        eventually(lambda: self._collector.said.count(f" {event}: ") > before, event)

    def _run(self, command: str, *arguments: str) -> str:
        """What `collector COMMAND` prints. It must end with 0."""
        call = [str(PROGRAMS / "collector"), command, "--config", str(self._config), *arguments]
        done = subprocess.run(call, check=False, capture_output=True, text=True, timeout=2 * PATIENCE_SECONDS)
        assert done.returncode == 0, done
        return done.stdout

    def _health(self) -> tuple[int, set[int]]:
        """The statuses of /readyz, and of /healthz of the workers."""
        probes = {self._collector.send("GET", "/healthz").status for _ in range(_PROBES)}
        return self._ask("/readyz").status, probes

    def _probe(self, prop_id: int, size: int = 1) -> set[int]:
        """The statuses of some events of that size."""
        return {self._post(prop_id, size)[0] for _ in range(_PROBES)}

    def _post(self, prop_id: int, size: int = 1) -> tuple[int, str]:
        """Post one event; its status and uid."""
        uid, began = f"probe-{self._next()}", time.monotonic()
        self._traffic.sent.add(uid)
        body = json.dumps({**_EVENT, "uid": uid, "dims": {"x": "y" * size}}).encode()
        target = f"/event?portal_id={PORTAL_ID}&prop_id={prop_id}"
        status = self._collector.send("POST", target, body, content_type="application/json").status
        if status == 200:
            self._traffic.acknowledged[uid] = Acknowledgement(prop_id, began)
        else:
            self._traffic.refused.add(uid)
        return status, uid

    def _ask(self, path: str) -> Response:
        """Ask the admin address, again if its process is replaced at this moment."""
        found: list[Response] = []

        def is_answered() -> bool:
            with suppress(OSError, HTTPException):
                found.append(_get(self._collector.admin_port, path))
            return bool(found)

        eventually(is_answered, f"the admin address answers {path}")
        return found[0]

    def _workers(self) -> list[psutil.Process]:
        eventually(self._collector.workers, "there is a worker")
        return self._collector.workers()

    def _admin_processes(self) -> list[psutil.Process]:
        eventually(self._collector.admin_processes, "there is an admin process")
        return self._collector.admin_processes()

    def _next(self) -> int:
        self._number += 1
        return self._number


def uids(records: Iterable[dict[str, Any]]) -> list[str]:
    """The uid of the event of each record."""
    return [record["event"]["uid"] for record in records]


def _write_property(folder: Path, prop_id: int) -> None:
    text = _PROPERTY.format(portal_id=PORTAL_ID, prop_id=prop_id)
    (folder / "properties" / f"{prop_id}.toml").write_text(text)


def _get(port: int, path: str) -> Response:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return Response(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def _wait_for_the_end_of(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)
    assert alive == [], "processes end by themselves"
