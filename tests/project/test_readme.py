"""The README says what is so: its commands are read from it and tried. Its facts are tested in tests/docs."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard

from tests.collector.ship.batches import record
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, eventually, running

_ROOT = Path(__file__).parents[2]
_README = (_ROOT / "README.md").read_text()
_DEMO = (_ROOT / "collector.toml").read_text().replace("8080", "{port}").replace("workers = 2", "workers = {workers}")
_DEMO = _DEMO.replace("port = 8081", "port = 0")  # other tests run at the same time


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", _README, re.DOTALL)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """The demo configuration, on a port of its own, with one event from the README's curl."""
    with running(tmp_path_factory.mktemp("demo"), settings=_DEMO) as collector:
        command = next(block for block in _blocks("sh") if "curl" in block).replace("8080", str(collector.port))
        printed = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True).stdout
        assert re.fullmatch(r'_event_callback_data\(\{"dgs":.*\}\);', printed)
        yield collector


def test_the_event_of_the_curl_command_is_printed_by_wal_cat(demo: Collector) -> None:
    printed = _sh(demo, f"{PROGRAMS}/wal cat data/log")
    assert '"uid":"u-8812"' in printed


def test_the_demo_shop_is_served_with_the_tracker_and_its_page_may_send(demo: Collector) -> None:
    assert "8080/demo>" in _README
    page = demo.send("GET", "/demo").body.decode()
    (script,) = re.findall(r'src="(/t\.[0-9a-f]+\.js)"', page)
    assert demo.send("GET", script).status == 200
    assert all(demo.send("GET", path).status == 200 for path in re.findall(r'(?:href|src)="(/demo/[^"#?]+)', page))
    origin = f"http://127.0.0.1:{demo.port}"
    answer = demo.send("HEAD", "/event?id=demo&resp_type=json&queued=1&ea=view&ec=product", origin=origin)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed; .ci/run installs it")
def test_the_live_segment_can_be_followed_with_tail_and_jq(demo: Collector) -> None:
    command = next(line for block in _blocks("sh") for line in block.splitlines() if line.startswith("tail"))
    assert "current.ndjson" in command
    once = command.partition("#")[0].replace("-qF", "-q -n +1")
    assert '"uid":"u-8812"' in _sh(demo, once)


def test_the_query_reads_what_the_file_sink_wrote(demo: Collector) -> None:
    eventually(demo.shipped, "the event is in the files")
    query = _blocks("sql")[0].replace("data/events", str(demo.folder / "data/events"))
    with duckdb.connect() as connection:
        assert connection.execute(query).fetchall() == [("view", 1, 1)]


ODD_EVENTS = (
    b'{"ea":"view","EA":"other"}',
    b'{"ea":"view","ea":"view"}',
    b'{"ea":"view","context":{"ip":1,"IP":{"a":[]},"ip":[]},"Context":7}',
    b'{"ea":"view","":1,"":2,"n":1e400,"m":%b}' % (b"9" * 400),
)


@pytest.mark.parametrize("events", [[each] for each in ODD_EVENTS] + [list(ODD_EVENTS)])
def test_the_query_reads_members_that_come_twice_or_differ_in_case_alone(tmp_path: Path, events: list[bytes]) -> None:
    assert _asked(tmp_path, [record(at, event=event) for at, event in enumerate(events, 1)]) == [
        ("view", len(events), 1),
    ]


def _asked(folder: Path, lines: list[bytes]) -> list[Any]:
    """What the README's query answers where the file sink wrote these lines."""
    hour = folder / "date=2024-05-01/hour=11"
    hour.mkdir(parents=True)
    (hour / "a.ndjson.zst").write_bytes(zstandard.compress(b"".join(lines)))
    (query,) = _blocks("sql")
    with duckdb.connect() as connection:
        return connection.execute(query.replace("data/events", str(folder))).fetchall()


def _sh(demo: Collector, command: str) -> str:
    done = subprocess.run(
        ["sh", "-c", command], cwd=demo.folder, check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    return done.stdout
