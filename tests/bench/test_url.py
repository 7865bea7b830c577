"""The load on a deployment that runs already: what is printed of it, and what a wrong URL gets."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench import BenchError, servers
from bench.processes import free_port
from bench.scenarios.url import parse_target
from tests.running import read_log

ROOT = Path(__file__).parents[2]
QUERY = "portal_id=33167&prop_id=564990801"


def _load(url: str, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench", "--url", url, *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_the_mix_is_sent_at_the_rate_and_its_latencies_and_errors_are_printed(tmp_path: Path) -> None:
    with servers.collector(tmp_path, sinks="") as server:
        url = f"http://127.0.0.1:{server.port}/event?{QUERY}"
        done = _load(url, "--rate", "200", "--seconds", "1", "--connections", "4")
    assert done.returncode == 0, done.stderr
    assert all(row in done.stdout for row in ("requests answered", "latency, p99", "latency, longest"))
    assert "of 200 requests" in done.stdout
    assert {record["event"]["ea"] for record in read_log(tmp_path / "log")} >= {"view", "add_to_cart", "click"}


def test_refused_requests_are_counted_by_status_with_an_example_and_fail_the_run(tmp_path: Path) -> None:
    with servers.collector(tmp_path, sinks="", of_property="events_per_second = 1") as server:
        done = _load(f"http://127.0.0.1:{server.port}/event?{QUERY}", "--rate", "100", "--seconds", "1")
    assert done.returncode == 1
    assert " x 429 " in done.stdout
    assert "BROKEN" in done.stdout


def test_a_url_at_which_nothing_listens_is_a_clear_error() -> None:
    url = f"http://127.0.0.1:{free_port()}/event?{QUERY}"
    done = _load(url)
    assert done.returncode == 1
    assert done.stderr.startswith(f"bench: {url} does not answer: ")
    assert "is the collector running there?" in done.stderr


def test_a_url_of_an_unknown_property_is_an_error_that_says_what_the_collector_said(tmp_path: Path) -> None:
    with servers.collector(tmp_path, sinks="") as server:
        done = _load(f"http://127.0.0.1:{server.port}/event?portal_id=33167&prop_id=9")
    assert done.returncode == 1
    assert "refused the first event with 404: {" in done.stderr


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("localhost:8080/event", "expected http://HOST:PORT/event"),
        (f"https://x/event?{QUERY}", "behind the proxy that ends TLS"),
        (f"http://x:port/event?{QUERY}", "expected http://HOST:PORT/event"),
        ("http://x/event?portal_id=1", "lacks prop_id"),
        ("http://x/event", "lacks portal_id and prop_id"),
    ],
)
def test_a_url_that_no_event_can_be_sent_to_is_refused(url: str, problem: str) -> None:
    with pytest.raises(BenchError, match=problem):
        parse_target(url)


def test_the_parts_of_a_url_are_found() -> None:
    assert parse_target(f"http://shop.example.com/c/hello?{QUERY}")[1:] == (
        "shop.example.com",
        80,
        f"/c/hello?{QUERY}",
    )
