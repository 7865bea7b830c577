"""The benchmarks run, and what they send is stored: a load that is refused would be measured as a fast one."""

import json
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import servers
from bench.load import traffic
from bench.load.traffic import Traffic
from tests.running import read_log, read_response, running

ROOT = Path(__file__).parents[2]
FEW = 40


def _bench(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode in (0, 1), done.stderr  # a bound may be broken on a machine that does other things too
    return done.stdout


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_parts_are_measured_one_by_one_into_a_table_results_and_charts(tmp_path: Path) -> None:
    report = ("--quick", "--report", str(tmp_path))
    assert "p99 of single POST at half rate" in _bench("delay", "stages", *report)
    assert "group commit alone" in _bench("commit", *report)
    rows = json.loads((tmp_path / "results.json").read_bytes())["rows"]
    assert {row["part"] for row in rows} == {"delay", "stages", "commit"}
    assert {path.name for path in tmp_path.glob("*.svg")} == {"latency.svg", "stages.svg"}
    stages = [row["value"] for row in rows if row["part"] == "stages"]
    assert len(stages) > 6
    assert all(value > 0 for value in stages)


@pytest.mark.parametrize(
    ("part", "rows"),
    [
        ("shapes", ["16 KiB, a cart of small objects", "worst shape: form, refused"]),
        ("hostile", ["zstd of 80 events", "log, most of 4 bodies", "honest requests that failed"]),
        ("soak", ["memory growth", "refused"]),
    ],
)
def test_parts_that_have_requests_refused_are_measured_without_wrk(tmp_path: Path, part: str, rows: list[str]) -> None:
    printed = _bench(part, "--quick", "--report", str(tmp_path))
    assert all(row in printed for row in rows), printed


def test_a_part_that_there_is_not_is_an_error_that_says_which_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "speed"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no such part: speed; there are requests, shapes, hostile, stages" in done.stderr


@pytest.mark.parametrize(
    "kind",
    [traffic.singles, traffic.large_singles, traffic.pixels, traffic.batches, traffic.files, traffic.mixed],
)
def test_every_request_of_a_load_is_stored(tmp_path: Path, kind: Callable[[], Traffic]) -> None:
    sent = kind()
    requests = sent.requests[:FEW]
    with servers.collector(tmp_path, sinks="") as server, socket.create_connection(("127.0.0.1", server.port)) as wire:
        for request in requests:
            wire.sendall(request)
            with wire.makefile("rb") as answer:
                assert read_response(answer.readline, answer.read).status in (200, 302)
    events = len(read_log(tmp_path / "log"))
    assert events == len(requests) * sent.events if sent.name != "mixed" else events > len(requests)


def test_of_the_load_of_a_shop_as_much_is_refused_as_is_meant_to_be(tmp_path: Path) -> None:
    statuses: Counter[int] = Counter()
    events = 0
    with servers.collector(tmp_path, sinks="") as server, socket.create_connection(("127.0.0.1", server.port)) as wire:
        for request in traffic.shop().requests[:1000]:
            wire.sendall(request)
            with wire.makefile("rb") as answer:
                response = read_response(answer.readline, answer.read)
            statuses[response.status] += 1
            events += len(response.json().get("rejected", []))
    assert set(statuses) == {200, 400}
    assert 40 <= statuses[400] <= 80
    assert 35 <= events <= 65
    assert len(read_log(tmp_path / "dead")) == statuses[400] + events


def test_locust_sends_its_mix_at_the_rate_that_is_asked_for(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    with running(tmp_path, workers=1) as collector:
        load = f"--headless --users 8 --spawn-rate 8 --run-time 3s --rate 100 --seed 7 --html {report}"
        url = f"http://127.0.0.1:{collector.port}"
        command = [str(Path(sys.executable).parent / "locust"), "-f", "bench/locustfile.py", *load.split()]
        done = subprocess.run([*command, "--host", url], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr  # 1 where a request failed
    assert report.stat().st_size > 0
    records = read_log(tmp_path / "data/log")
    assert len(records) >= 100
    assert {record["event"]["ea"] for record in records} >= {"view", "add_to_cart"}
