"""Questions to a collector under `Traffic`: an operation has its effect when the answers say so."""

import json
import time
from collections.abc import Callable, Iterable
from http.client import HTTPConnection, HTTPException
from itertools import count
from typing import Any, Final, TypeVar

import psutil

from tests.crash.traffic import PORTAL_ID, Acknowledgement, Traffic
from tests.running import PATIENCE_SECONDS, Collector, Response, eventually

WORKERS: Final = 2
_T = TypeVar("_T")
_EVENT: Final = {"ea": "view", "ec": "product", "sid": 1, "aid": "a"}
_PROBES: Final = 20
"""Each on a connection of its own, which the kernel gives to any worker."""


class Probes:
    """Asks both addresses of one collector. Its events are on the account of the traffic."""

    def __init__(self, collector: Collector, traffic: Traffic) -> None:
        self._collector = collector
        self._traffic = traffic
        self._numbers = count(1)

    def wait_for_workers(self) -> None:
        """Return once all workers are ready."""

        def are_ready() -> bool:
            workers = self.ask("/readyz").json()["workers"]
            return [worker["ready"] for worker in workers] == [True] * WORKERS

        eventually(are_ready, "all workers are ready")

    def status(self) -> Any:
        """What the admin address has at /status."""
        return self.ask("/status").json()

    def metrics(self) -> str:
        """What the admin address has at /metrics."""
        return self.ask("/metrics").body.decode()

    def health(self) -> tuple[int, set[int]]:
        """The statuses of /readyz, and of /healthz of the workers."""
        probes = {self._collector.send("GET", "/healthz").status for _ in range(_PROBES)}
        return self.ask("/readyz").status, probes

    def statuses(self, prop_id: int, size: int = 1) -> set[int]:
        """The statuses of some events of that size."""
        return {self.post(prop_id, size)[0] for _ in range(_PROBES)}

    def post(self, prop_id: int, size: int = 1) -> tuple[int, str]:
        """Post one event; its status and uid."""
        uid, began = f"probe-{next(self._numbers)}", time.monotonic()
        self._traffic.sent.add(uid)
        body = json.dumps({**_EVENT, "uid": uid, "dims": {"x": "y" * size}}).encode()
        target = f"/event?portal_id={PORTAL_ID}&prop_id={prop_id}"
        status = self._collector.send("POST", target, body, content_type="application/json").status
        if status == 200:
            self._traffic.acknowledged[uid] = Acknowledgement(prop_id, began)
        else:
            self._traffic.refused.add(uid)
        return status, uid

    def ask(self, path: str) -> Response:
        """Ask the admin address, again if its process is replaced at this moment."""
        return _found(lambda: _answers(self._collector.admin_port, path), f"the admin address answers {path}")[0]

    def workers(self) -> list[psutil.Process]:
        """The workers that live now, at least one."""
        return _found(self._collector.workers, "there is a worker")

    def admin_process(self) -> psutil.Process:
        """The admin process that lives now."""
        return _found(self._collector.admin_processes, "there is an admin process")[0]


def uids(records: Iterable[dict[str, Any]]) -> list[str]:
    """The uid of the event of each record."""
    return [record["event"]["uid"] for record in records]


def _found(find: Callable[[], list[_T]], what: str) -> list[_T]:
    """The first result of `find` that is not empty."""
    found: list[_T] = []

    def is_there() -> bool:
        found.extend(find())
        return bool(found)

    eventually(is_there, what)
    return found


def _answers(port: int, path: str) -> list[Response]:
    """One, or none if the process is replaced at this moment."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return [Response(response.status, dict(response.getheaders()), response.read())]
    except (OSError, HTTPException):
        return []
    finally:
        connection.close()
