"""A Prometheus that scrapes one node, with the settings in deploy/prometheus/."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from bench.processes import free_port, is_connectable, started
from tests.running import PATIENCE_SECONDS, eventually

_DEPLOYED: Final = Path(__file__).parents[2] / "deploy/prometheus"

with_prometheus = pytest.mark.skipif(
    not shutil.which("prometheus"), reason="prometheus is not installed; .ci/run installs it"
)


class Prometheus:
    """Asks a Prometheus that listens on `port`."""

    def __init__(self, port: int) -> None:
        self._port = port

    def rules(self) -> list[dict[str, Any]]:
        """The alert rules, with health and state of each."""
        return [rule for group in self.asked("/api/v1/rules")["data"]["groups"] for rule in group["rules"]]

    def values(self, query: str) -> list[str]:
        """The values of a query now, each once."""
        found = self.asked(f"/api/v1/query?query={quote(query)}")["data"]["result"]
        return sorted({sample["value"][1] for sample in found})

    def asked(self, path: str) -> Any:
        """The answer at a path, which is JSON."""
        return json.loads(self._get(path)[1])

    def is_ready(self) -> bool:
        """Whether it serves."""
        return is_connectable(self._port) and self._get("/-/ready")[0] == 200

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@contextmanager
def prometheus(folder: Path, admin_port: int, token: str) -> Iterator[Prometheus]:
    """A Prometheus with the settings that are shipped, but for the address, the token's file and the intervals.

    Its data are in `folder`, which must exist.
    """
    settings = folder / "prometheus"
    shutil.copytree(_DEPLOYED, settings)
    (settings / "token").write_text(token)
    file = settings / "prometheus.yml"
    text = file.read_text()
    for shipped, here in (
        ("/run/secrets/tracklog_admin_token", str(settings / "token")),
        ("collector:8081", f"127.0.0.1:{admin_port}"),
        ("15s", "200ms"),
    ):
        assert shipped in text
        text = text.replace(shipped, here)
    file.write_text(text)
    port = free_port()
    command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with started([*command, f"--web.listen-address=127.0.0.1:{port}"]):
        found = Prometheus(port)
        eventually(found.is_ready, "Prometheus serves")
        yield found
