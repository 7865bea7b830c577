"""The limit of open files, and the connections that a worker holds within it."""

import os
import resource
import subprocess
from pathlib import Path

import pytest

from bench.processes import started
from collector.server.open_files import connection_limit
from tests.running import PROGRAMS, Collector, workers_of

_SERVING = " ready: serving on http://"


def test_a_worker_holds_no_more_connections_than_the_hard_limit_of_files_allows(tmp_path: Path) -> None:
    collector = Collector(tmp_path, workers=1)
    limit = f"ulimit -Sn 500; ulimit -Hn 1000; exec {PROGRAMS}/collector serve --config {tmp_path}/collector.toml"
    environment = os.environ | {"TRACKLOG_TEST_KEY_A": "a" * 16, "TRACKLOG_TEST_KEY_B": "b" * 16}
    with started(["sh", "-c", limit], stderr=subprocess.PIPE, text=True, env=environment) as process:
        lines = []
        assert process.stderr
        for line in process.stderr:
            lines.append(line)
            if _SERVING in line:
                break
        assert "limits.connections is 10000, but the hard limit of open files (RLIMIT_NOFILE) is 1000: " in "".join(
            lines
        )
        assert "a worker holds at most 744 connections; raise that limit to 10256 or more" in "".join(lines)
        (worker,) = workers_of(process.pid)
        assert resource.prlimit(worker.pid, resource.RLIMIT_NOFILE) == (1000, 1000)
        sockets = [collector.connect() for _ in range(745)]
        try:
            assert sockets[-1].recv(12) == b"HTTP/1.1 503"
        finally:
            for opened in sockets:
                opened.close()


@pytest.mark.parametrize(
    ("setting", "hard_limit", "connections"),
    [
        (10_000, resource.RLIM_INFINITY, 10_000),
        (10_000, 20_000, 10_000),
        (10_000, 10_256, 10_000),
        (10_000, 10_255, 9_999),
        (10_000, 1_024, 768),
        (100, 1_024, 100),
        (10_000, 256, 128),
        (10_000, 3, 2),
    ],
)
def test_the_limit_of_connections_is_the_setting_or_what_the_hard_limit_of_files_leaves(
    setting: int, hard_limit: int, connections: int
) -> None:
    assert connection_limit(setting, hard_limit) == connections
