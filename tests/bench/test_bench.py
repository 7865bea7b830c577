"""The benchmarks run, and what they send is stored: a load that is refused would be measured as a fast one."""

import ast
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bench import BenchError, servers
from bench.cli import SCENARIOS, Scenario, run
from bench.load import traffic
from bench.load.traffic import Traffic
from bench.measure import Options, Row
from bench.processes import started
from bench.results import Results
from bench.scenarios import refusals
from bench.scenarios.stages import COMMIT_FRAME, STAGES
from tests.running import PATIENCE_SECONDS, eventually, read_log, read_response, running

ROOT = Path(__file__).parents[2]
FEW = 40
OPTIONS = Options(1, 1, is_quick=True)
_LONG = pytest.mark.torture


def _bench(*arguments: str) -> str:
    command = [sys.executable, "-m", "bench", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_scenarios_are_measured_one_by_one_into_a_table_results_and_charts(tmp_path: Path) -> None:
    report = ("--quick", "--report", str(tmp_path))
    assert "p99 of single POST at half rate" in _bench("delay", "stages", *report)
    assert "group commit alone" in _bench("commit", *report)
    rows = json.loads((tmp_path / "results.json").read_bytes())["rows"]
    assert {row["scenario"] for row in rows} == {"delay", "stages", "commit"}
    assert {path.name for path in tmp_path.glob("*.svg")} == {"latency.svg", "stages.svg"}
    stages = [row["value"] for row in rows if row["scenario"] == "stages"]
    assert len(stages) > 6
    assert all(value > 0 for value in stages)


@pytest.mark.parametrize(
    ("scenario", "rows"),
    [
        ("shapes", ["16 KiB, a cart of small objects", "worst shape: form, refused"]),
        ("console", ["row of a record", "one viewer, 20,000 events/s"]),
        pytest.param(
            "hostile", ["zstd of 80 events", "log, most of 4 bodies", "honest requests that failed"], marks=_LONG
        ),
        pytest.param("soak", ["memory growth", "refused"], marks=_LONG),
    ],
)
def test_scenarios_that_have_requests_refused_are_measured_without_wrk(scenario: str, rows: list[str]) -> None:
    printed = _bench(scenario, "--quick")
    assert all(row in printed for row in rows), printed


@pytest.mark.clients
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_the_tracker_is_measured_in_a_browser() -> None:
    printed = _bench("tracker", "--quick")
    assert all(row in printed for row in ("start after another script, median", "events stored, mean")), printed


@pytest.mark.clients
@pytest.mark.skipif(None in (shutil.which("chromium"), shutil.which("wrk")), reason="chromium or wrk is not installed")
def test_a_viewer_of_the_console_is_measured_in_a_browser() -> None:
    printed = _bench("viewer", "--quick")
    for row in ("with a viewer", "longest task of the page", "all views on"):
        assert row in printed


def test_rows_are_json_lines_if_asked_for() -> None:
    rows = [json.loads(line) for line in _bench("commit", "--quick", "--json").splitlines()]
    assert [row["scenario"] for row in rows] == ["commit", "commit"]
    assert all(row["value"] > 0 for row in rows)


def _rows(*rows: Row) -> Callable[[Options], Iterator[Row]]:
    return lambda _: iter(rows)


def _fails(_: Options) -> Iterator[Row]:
    yield Row("first", 1)
    raise BenchError("there is no second one")


def test_a_broken_bound_fails_the_run_at_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenarios = {"a": Scenario(_rows(Row("slow", 3, most=2))), "b": Scenario(_rows(Row("fast", 1, most=2, goal=1)))}
    assert not run(scenarios, OPTIONS, Results(tmp_path, is_json=False, is_judged=True))
    printed = capsys.readouterr().out
    assert re.search("slow .* BROKEN", printed)
    assert re.search("fast .* goal", printed)
    del scenarios["a"]
    assert run(scenarios, OPTIONS, Results(None, is_json=False, is_judged=True))


def test_a_quick_run_judges_no_bound(capsys: pytest.CaptureFixture[str]) -> None:
    assert run({"a": Scenario(_rows(Row("slow", 3, most=2)))}, OPTIONS, Results(None, is_json=False, is_judged=False))
    assert "BROKEN" not in capsys.readouterr().out


def test_a_ratio_is_bounded_where_there_is_one_else_the_value() -> None:
    assert Row("times", 30, ratio=1.5, most=1.6).verdict == "holds"
    assert Row("absolute", 7, most=6).verdict == "BROKEN"


def test_a_scenario_that_fails_does_not_keep_the_others_from_being_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scenarios = {"a": Scenario(_fails), "b": Scenario(_rows(Row("second", 1)))}
    assert not run(scenarios, OPTIONS, Results(None, is_json=False, is_judged=True))
    printed = capsys.readouterr()
    assert "a: failed: there is no second one" in printed.err
    assert "second" in printed.out


def test_a_scenario_that_needs_a_missing_program_is_skipped_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scenarios = {"a": Scenario(_fails, (lambda: "java is not installed",))}
    assert run(scenarios, OPTIONS, Results(None, is_json=False, is_judged=True))
    assert "a: skipped: java is not installed" in capsys.readouterr().err


def test_an_unknown_scenario_is_an_error_that_names_the_known_ones() -> None:
    command = [sys.executable, "-m", "bench", "speed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no such scenario: speed; there are requests, segments, refusals, ids, shapes" in done.stderr


def test_ctrl_c_stops_the_servers() -> None:
    command = [sys.executable, "-m", "bench", "soak", "--quick"]
    with started(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        bench = psutil.Process(process.pid)
        eventually(lambda: any("serve" in each.cmdline() for each in bench.children()), "the collector is started")
        servers_ = bench.children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert [each for each in servers_ if each.is_running()] == []


def test_every_scenario_says_in_a_line_what_it_measures_here_and_in_the_readme() -> None:
    readme = (ROOT / "bench/README.md").read_text()
    for name, scenario in SCENARIOS.items():
        assert scenario.summary
        assert "\n" not in scenario.summary
        assert f"| `{name}` |" in readme


@pytest.mark.parametrize(
    "name", ["README.md", "docs/understand/performance.md", "bench/README.md", "bench/NOTES.md", "wal", "collector"]
)
def test_scenarios_that_texts_and_comments_name_exist(name: str) -> None:
    paths = [ROOT / name] if name.endswith(".md") else list((ROOT / name).rglob("*.py"))
    named = {found for path in paths for found in re.findall(r"python -m bench((?: [a-z]+)+)", path.read_text())}
    assert named
    assert {each for found in named for each in found.split()} <= SCENARIOS.keys()


def test_every_file_that_a_stage_is_known_by_exists() -> None:
    paths = [
        path.relative_to(ROOT).as_posix() for package in ("wal", "collector") for path in (ROOT / package).rglob("*.py")
    ]
    parts = [part for parts in STAGES.values() for part in parts]
    assert [part for part in parts if not any(part in path for path in paths)] == []


def test_the_function_that_a_commit_is_known_by_exists() -> None:
    name, path = COMMIT_FRAME.split(" (")
    assert f"def {name}(" in (ROOT / path).read_text()


def test_nothing_of_the_bench_imports_the_tests() -> None:
    for path in (ROOT / "bench").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("tests") for alias in node.names), path
            elif isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("tests"), path


@pytest.mark.parametrize(
    "kind",
    [traffic.singles, traffic.large_singles, traffic.pixels, traffic.batches, traffic.files, traffic.mixed],
)
def test_every_request_of_a_load_is_stored(tmp_path: Path, kind: Callable[[], Traffic]) -> None:
    sent = kind()
    requests = sent.requests[:FEW]
    with servers.collector(tmp_path, sinks="") as server:
        assert set(_statuses(server, requests)) <= {200, 302}
    events = len(read_log(tmp_path / "log"))
    assert events == len(requests) * sent.events if sent.name != "mixed" else events > len(requests)


def _statuses(server: servers.Server, requests: tuple[bytes, ...] | list[bytes]) -> list[int]:
    found = []
    with socket.create_connection(("127.0.0.1", server.port)) as wire:
        for request in requests:
            wire.sendall(request)
            with wire.makefile("rb") as answer:
                found.append(read_response(answer.readline, answer.read).status)
    return found


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


def test_each_kind_of_refusal_gets_its_status_and_only_a_bad_event_a_dead_letter() -> None:
    with refusals.collector() as server:
        for kind in (refusals.STORED, *refusals.REFUSALS.values()):
            assert set(_statuses(server, refusals.requests_of(kind)[:FEW])) == {kind.status}
        assert len(read_log(server.folder / "log")) == FEW
        assert len(read_log(server.folder / "dead")) == FEW


def test_locust_sends_its_mix_until_it_is_stopped(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    with running(tmp_path, workers=1) as collector:
        load = f"--headless --users 8 --spawn-rate 8 --rate 100 --seed 7 --html {report}"
        url = f"http://127.0.0.1:{collector.port}"
        command = [str(Path(sys.executable).parent / "locust"), "-f", "bench/locustfile.py", *load.split()]
        printed = tmp_path / "locust.log"
        with printed.open("w") as log, started([*command, "--host", url], cwd=ROOT, stdout=log, stderr=log) as run:
            eventually(lambda: len(read_log(tmp_path / "data/log")) >= 100, "a hundred events are stored")
            run.send_signal(signal.SIGINT)  # at SIGTERM it writes no report
            assert run.wait(PATIENCE_SECONDS) == 0, printed.read_text()  # 1 where a request failed
    assert report.stat().st_size > 0
    records = read_log(tmp_path / "data/log")
    assert {record["event"]["ea"] for record in records} >= {"view", "add_to_cart"}
