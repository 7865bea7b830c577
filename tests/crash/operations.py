"""Operations and deaths of a collector under `Traffic`, each with the effect that must be seen at once."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

import psutil

from tests.crash.probes import Probes, uids
from tests.crash.traffic import PORTAL_ID, Traffic
from tests.crash.volume import filled
from tests.destinations.http import HttpReceiver
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, eventually

PROP_ID: Final = 564990801
_SETTINGS: Final = """
include = ["properties/*.toml"]
[server]
port = {{port}}
workers = {{workers}}
grace_seconds = 3
[admin]
port = 0
[log]
segment_bytes = 1048576
stall_seconds = 20
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
_LONGEST_REPLACEMENT_SECONDS: Final = 2.0
"""Some time for a random moment within the replacement of all workers."""


def write_settings(folder: Path, receiver: HttpReceiver) -> str:
    """The settings of two sinks, none of them on the disk of the log; properties are in files of their own."""
    (folder / "properties").mkdir()
    _write_property(folder, PROP_ID)
    escaped = receiver.toml().replace("flush_bytes = 4096", "flush_bytes = 65536").replace("{", "{{").replace("}", "}}")
    return _SETTINGS.format(files=folder / FILES, receiver=escaped)


class Operations:
    """Everything that is done to one collector. Its methods wait until the effect is seen, and fail if it is not."""

    def __init__(
        self, collector: Collector, traffic: Traffic, probes: Probes, receiver: HttpReceiver, seed: int
    ) -> None:
        self.started_at = time.monotonic()
        """When the collector that runs now was started: it has acknowledged what was sent since."""
        self._collector = collector
        self._traffic = traffic
        self._probes = probes
        self._receiver = receiver
        self._is_receiver_up = True
        self._random = random.Random(seed)
        self._config = collector.folder / "collector.toml"
        self._numbers = count(1)

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
        assert self._probes.statuses(PROP_ID, size=40_000) == {status}

    def refuse_a_bad_file(self) -> None:
        """SIGHUP with a bad file, which stays for a while. A worker that dies meanwhile starts with the old one."""
        good = self._config.read_text()
        self._config.write_text(good.replace("[limits]", "[limitz]"))
        self._hang_up("reload_refused")
        eventually(
            lambda: self._probes.ask("/status").json()["last_reload"]["is_accepted"] is False, "the status has it"
        )
        if self._random.random() < 0.5:
            self.kill_a_worker()
        assert self._probes.statuses(PROP_ID) == {200}
        self._config.write_text(good)

    def add_a_property(self) -> None:
        """Add a file, reload, and use the property at once."""
        prop_id = next(self._numbers)
        _write_property(self._collector.folder, prop_id)
        assert f"property {PORTAL_ID}/{prop_id}: added" in self._run("reload")
        assert self._probes.statuses(prop_id) == {200}
        self._traffic.prop_ids.append(prop_id)

    def add_a_sink(self) -> None:
        """Add a table, and reload, which replaces all workers; perhaps one of them dies meanwhile."""
        before, name = self._probes.workers(), self._write_sink()
        with ThreadPoolExecutor(1) as pool:
            reload = pool.submit(self._run, "reload")
            if self._random.random() < 0.5:
                eventually(lambda: reload.done() or self._collector.workers() != before, "a successor starts")
                self._kill(self._random.choice(before))
            assert f"sink {name}: added" in reload.result()
        assert set(before).isdisjoint(self._collector.workers())
        uid = self._probes.post(PROP_ID)[1]
        eventually(lambda: uid in uids(self._collector.shipped(name)), f"{name} gets events")

    def audit(self) -> None:
        """Audit the accounts while events come."""
        self._run("audit", "--json")

    def kill_a_worker(self) -> None:
        """SIGKILL, and perhaps no time to come back before the next operation."""
        self._kill(self._random.choice(self._probes.workers()))
        if self._random.random() < 0.5:
            self._probes.wait_for_workers()
        assert self._probes.statuses(PROP_ID) == {200}

    def kill_the_supervisor(self) -> None:
        """SIGKILL, perhaps while it replaces workers; they end by themselves, and then it is started again."""
        with self._traffic.outages.given():
            self._perhaps_begin_to_replace()
            orphans = psutil.Process(self._collector.process.pid).children()
            self._collector.process.kill()
            self._collector.process.wait()
            _wait_for_the_end_of(orphans)
            self._start()

    def kill_the_admin_process(self) -> None:
        """SIGKILL; another one takes its place."""
        victim = self._probes.admin_process()
        victim.kill()
        eventually(lambda: self._probes.admin_process() != victim, "there is another")
        assert self._probes.ask("/livez").status == 200

    def restart(self) -> None:
        """SIGTERM, perhaps while it replaces workers, and start it again."""
        with self._traffic.outages.given():
            self._perhaps_begin_to_replace()
            assert self._collector.stop() == 0, self._collector.stderr
            self._start()

    def move_the_receiver(self) -> None:
        """Take one sink away, or bring it back. No health follows it."""
        if self._is_receiver_up:
            self._receiver.down()
            self._is_receiver_up = False
            assert self._probes.ask("/readyz").status == 200
        else:
            self._bring_the_receiver_back()

    def fill_the_disk(self) -> None:
        """Fill it up until requests are shed, perhaps kill a worker, and make room. Health follows both."""
        refused = len(self._traffic.refused)
        with self._traffic.unready.given():
            with filled(self._collector.folder / "data") as fill:

                def holds(condition: Callable[[], bool]) -> bool:
                    fill()  # what the log gives back, too
                    return condition()

                eventually(lambda: holds(lambda: self._probes.health() == (503, {503})), "health is red")
                eventually(lambda: holds(lambda: len(self._traffic.refused) > refused), "requests are shed")
                if self._random.random() < 0.5:
                    self._kill(self._random.choice(self._probes.workers()))
            self._probes.wait_for_workers()
            eventually(lambda: self._probes.health() == (200, {200}), "health is green again")
        assert self._probes.statuses(PROP_ID) == {200}

    def end(self) -> None:
        """Have all back that may be away: the sink, and workers that start again."""
        self._probes.wait_for_workers()
        if not self._is_receiver_up:
            self._bring_the_receiver_back()

    def _bring_the_receiver_back(self) -> None:
        before = self._receiver.received_bytes
        self._receiver.up()
        self._is_receiver_up = True
        eventually(lambda: self._receiver.received_bytes > before, "the receiver gets events again")

    def _kill(self, worker: psutil.Process) -> None:
        """SIGKILL to a worker, which may just have ended by itself."""
        with self._traffic.deaths.given(), suppress(psutil.NoSuchProcess):
            worker.kill()
            _wait_for_the_end_of([worker])

    def _perhaps_begin_to_replace(self) -> None:
        """Add a sink, and return while the first worker is being replaced, or just was."""
        if self._random.random() < 0.5:
            before = self._probes.workers()
            self._write_sink()
            os.kill(self._collector.process.pid, signal.SIGHUP)
            eventually(lambda: self._collector.workers() != before, "a successor starts")
            time.sleep(self._random.uniform(0, _LONGEST_REPLACEMENT_SECONDS))

    def _write_sink(self) -> str:
        """Add a sink to the settings; its name, and that of its folder."""
        name = f"sink-{next(self._numbers)}"
        with self._config.open("a") as file:
            file.write(_SINK.format(name=name, folder=self._collector.folder / name))
        return name

    def _start(self) -> None:
        self.started_at = time.monotonic()
        self._collector.start()

    def _hang_up(self, event: str) -> None:
        before = self._collector.stderr.count(f" {event}: ")
        os.kill(self._collector.process.pid, signal.SIGHUP)
        eventually(lambda: self._collector.stderr.count(f" {event}: ") > before, event)

    def _run(self, command: str, *arguments: str) -> str:
        """What `collector COMMAND` prints. It must end with 0."""
        call = [str(PROGRAMS / "collector"), command, "--config", str(self._config), *arguments]
        done = subprocess.run(call, check=False, capture_output=True, text=True, timeout=2 * PATIENCE_SECONDS)
        assert done.returncode == 0, done
        return done.stdout


def _write_property(folder: Path, prop_id: int) -> None:
    text = _PROPERTY.format(portal_id=PORTAL_ID, prop_id=prop_id)
    (folder / "properties" / f"{prop_id}.toml").write_text(text)


def _wait_for_the_end_of(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)
    assert alive == [], "processes end by themselves"
