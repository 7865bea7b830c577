"""A receiver of batches as a program of its own: `python -m tests.destinations.http_receiver PORT FILE`.

It keeps what it takes in FILE, a line of JSON a batch: its path, its key, its chain and the lines of its events in
order. A key that it has seen, at whatever path, is taken again without effect. `GET /next?log_id=…` tells the next
sequence that it wants of a log, and the chain that it has.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from cloudevents.core.formats.json import JSONFormat

from tests.destinations.http_server import Request, Response, server

POISON: Final = b"poison"
"""A batch with these bytes in it is refused for good."""


class Receiver:
    """The batches in a file, and how the next requests are to be answered: see `Receiver.answer`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken = kept(path)
        self._keys = {batch["key"] for batch in self._taken}
        self._behaviours: list[str] = []
        self._lock = threading.Lock()

    def respond(self, request: Request) -> Response:
        """Take a batch, unless the next behaviour is busy, redirect, hang (for good), or drop (once it is taken)."""
        place = urlsplit(request.target)
        if place.path == "/behave":
            self._behaviours = json.loads(request.body)
            return Response()
        if place.path == "/next":
            with self._lock:
                return Response(200, self._next(parse_qs(place.query)["log_id"][0]))
        match self._behaviours.pop(0) if self._behaviours else "take":
            case "busy":
                return Response(503, b"busy", {"Retry-After": "0"})
            case "redirect":
                return Response(307, headers={"Location": "/elsewhere"})
            case "hang":
                time.sleep(3600)
            case "drop":
                return self._take(request)._replace(cut=True)
        return self._take(request)

    def _take(self, request: Request) -> Response:
        body = request.inflated
        if POISON in body:
            return Response(400, b"poison is not taken")
        with self._lock:
            key = request.headers["idempotency-key"]
            if key not in self._keys:
                chain = request.headers.get("x-log-chain", "")
                lines = events_in(body) if _is_cloudevents(request) else body.decode().split("\n")[:-1]
                self._keep({"path": request.target, "key": key, "chain": chain, "lines": lines})
        return Response()

    def _keep(self, batch: dict[str, Any]) -> None:
        self._taken.append(batch)
        self._keys.add(batch["key"])
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(batch) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _next(self, log_id: str) -> bytes:
        found = [
            (int(sequence), batch["chain"])
            for batch in self._taken
            for from_log, _, sequence in [json.loads(line)["id"].partition("-") for line in batch["lines"]]
            if from_log == log_id
        ]
        last, chain = max(found, default=(0, ""))
        return f"{last + 1} {chain}".strip().encode()


def _is_cloudevents(request: Request) -> bool:
    return request.headers["content-type"] == "application/cloudevents-batch+json"


def events_in(body: bytes) -> list[str]:
    """The data of a batch of CloudEvents, as the official library reads it."""
    events = [JSONFormat().read(None, json.dumps(event)) for event in json.loads(body)]
    return [json.dumps(event.get_data(), separators=(",", ":"), ensure_ascii=False) for event in events]


def kept(path: Path) -> list[dict[str, Any]]:
    """The batches in a file. One that a kill cut short was not answered, and does not count."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]


if __name__ == "__main__":
    server(int(sys.argv[1]), Receiver(Path(sys.argv[2])).respond).serve_forever()
