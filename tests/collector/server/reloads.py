"""Helpers for the tests of reloads: a collector whose settings change while it runs."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector

EVENT = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
SETTINGS = """
[server]
port = {port}
workers = {workers}
grace_seconds = 5
[admin]
port = 0
[[property]]
portal_id = 33167
prop_id = 564990801
[[property]]
portal_id = 33167
prop_id = 5
events_per_second = 0.001
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.05
"""
PROPERTY = "[[property]]\nportal_id = 33167\nprop_id = 9\n"
SINK = '[[sink]]\ntype = "file"\nname = "second"\ndir = "data/second"\nflush_seconds = 0.05\n'


def append(collector: Collector, text: str) -> None:
    """Append to the settings file."""
    with (collector.folder / "collector.toml").open("a") as file:
        file.write(text)


def change(collector: Collector, old: str, new: str) -> None:
    """Change the settings file."""
    path = collector.folder / "collector.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def reload(collector: Collector) -> "subprocess.CompletedProcess[str]":
    """Run `collector reload`."""
    return reload_with(collector.folder / "collector.toml")


def reload_with(config: Path) -> "subprocess.CompletedProcess[str]":
    """Run `collector reload` with this settings file."""
    command = [str(PROGRAMS / "collector"), "reload", "--config", str(config)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def post(collector: Collector, prop_id: int) -> int:
    """Post one event to a property; its status."""
    body = json.dumps(EVENT).encode()
    return collector.send("POST", f"/event?portal_id=33167&prop_id={prop_id}", body).status


def pids(collector: Collector) -> set[int]:
    """The pids of the workers that live now."""
    return {worker.pid for worker in collector.workers()}


def status(collector: Collector) -> Any:
    """What /status of the admin address says."""
    connection = HTTPConnection("127.0.0.1", collector.admin_port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/status")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


@contextmanager
def clients(collector: Collector, number: int) -> Iterator[tuple[list[int], list[str]]]:
    """Clients that send one event after another, each on one connection: what each has stored, and failures."""
    sent, failures, ending = [0] * number, list[str](), threading.Event()

    def send(client: int) -> None:
        connection = HTTPConnection("127.0.0.1", collector.port, timeout=PATIENCE_SECONDS)
        try:
            while not ending.is_set():
                connection.request("POST", "/event?portal_id=33167&prop_id=564990801", json.dumps(EVENT))
                response = connection.getresponse()
                response.read()
                sent[client] += response.status == 200
                if response.status != 200:
                    failures.append(str(response.status))
        except Exception as error:
            failures.append(repr(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(client,)) for client in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield sent, failures
    finally:
        ending.set()
        for thread in threads:
            thread.join()
