"""An HTTP receiver that remembers keys, in a process of its own."""

import http.client
import json
from collections import Counter
from pathlib import Path

from tests.destinations.child import Child
from tests.destinations.http_receiver import POISON, kept


class HttpReceiver:
    """A Destination; see the protocol."""

    poison: bytes | None = b'{"id":"0123456789abcdef-0","event":{"ea":"%b"}}\n' % POISON
    knows_chain = True

    def __init__(self, folder: Path, settings: str = "") -> None:
        """`settings` are further lines of the `[[sink]]` table."""
        self._child = Child("tests.destinations.http_receiver", folder / "received.ndjson")
        self._settings = settings

    def toml(self) -> str:
        url = f"http://127.0.0.1:{self._child.port}"
        return (
            f'[[sink]]\ntype = "http"\nname = "http"\nurl = "{url}/events"\n'
            f'resume_url = "{url}/next?log_id={{log_id}}"\n'
            f"flush_bytes = 4096\nflush_seconds = 0.05\ntimeout_seconds = 5\n{self._settings}"
        )

    def arrived(self, path: str = "") -> list[bytes]:
        """What came to one path, or to all."""
        batches = [batch for batch in kept(self._child.path) if path in ("", batch["path"])]
        return [line.encode() for batch in batches for line in batch["lines"]]

    @property
    def received_bytes(self) -> int:
        """Grows with each batch."""
        return self._child.path.stat().st_size

    def down(self) -> None:
        self._child.kill()

    def up(self) -> None:
        self._child.start()

    def close(self) -> None:
        self._child.kill()

    def behave(self, *behaviours: str) -> None:
        """How the next batches are answered, one for each: `busy`, `redirect`, `hang`, `drop` or `take`."""
        connection = http.client.HTTPConnection("127.0.0.1", self._child.port, timeout=10)
        connection.request("POST", "/behave", json.dumps(behaviours))
        assert connection.getresponse().status == 204
        connection.close()

    def keys(self) -> Counter[str]:
        """The keys of the batches that were taken."""
        return Counter(batch["key"] for batch in kept(self._child.path))
