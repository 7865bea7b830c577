"""The accounts and series of a running node, over the ends of its processes."""

import json
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.running import PATIENCE_SECONDS, Collector, eventually, running

_SETTINGS = """
[server]
port = {port}
workers = {workers}
grace_seconds = 5
[admin]
port = 0
[[property]]
portal_id = 33167
prop_id = 564990801
required = ["ea"]
dedup = "1h"
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.05
"""


def _get(collector: Collector, path: str) -> Any:
    connection = HTTPConnection("127.0.0.1", collector.admin_port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return json.loads(response.read()) if response.status == 200 else None
    finally:
        connection.close()


def _accounts(collector: Collector, holds: Callable[[Any, dict[str, int]], Any]) -> dict[str, Any]:
    """The account of the property, once it is so; `holds` gets the row, and the requests for unknown properties."""
    found: list[dict[str, Any]] = []

    def is_so() -> bool:
        answer = _get(collector, "/api/accounts")
        if not answer or not answer["rows"]:
            return False
        unknown = {each["property"]: each["requests"] for each in answer["unknown"]}
        found[:] = [answer["rows"][0]]
        return bool(holds(found[0], unknown))

    eventually(is_so, "the account is so")
    return found[0]


def test_each_event_is_in_the_accounts_once_whichever_process_ends(tmp_path: Path) -> None:
    with running(tmp_path, workers=2, settings=_SETTINGS) as collector:
        for number in range(20):
            collector.post({"ea": "view", "event_id": f"e-{number % 15}"})
        collector.post(b"[]x")
        collector.send("POST", "/event?portal_id=7&prop_id=1", b"{}", content_type="application/json")
        row = _accounts(collector, lambda row, unknown: row["delivered"] == 15 and row["dead"] == 0 and unknown)
        assert (row["property"], row["received"], row["codes"]) == ("33167/564990801", 21, {"invalid_event": 1})
        assert (row["stored"], row["duplicate"], row["pending"], row["balance"]) == (15, 5, 0, "settled")
        collector.kill()
        collector.start()
        collector.post({"ea": "view", "event_id": "e-21"})
        row = _accounts(collector, lambda row, unknown: row["delivered"] == 16 and unknown == {"7/1": 1})
        assert (row["stored"], row["duplicate"], row["balance"]) == (16, 5, "settled")
        assert row["days"][-1] == row["received"]
        series = _get(collector, "/api/series?names=stored,disk_free,cpu&seconds=60")
        assert {name: len(values) for name, values in series["values"].items()} == dict.fromkeys(
            ("stored", "disk_free", "cpu"), 60
        )
