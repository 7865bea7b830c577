"""`python -m bench`: every scenario, each paired with its reference in one run; a table, results.json and charts.

CPU is that of the server's processes; the load comes from another core. Parts can be measured one by one: what the
other parts came to last time stays in the results.
"""

import argparse
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import psutil

from bench import charts, servers
from bench.load import wrk
from bench.measure import Options, Row
from bench.scenarios import delay, hostile, requests, shapes, soak, stages
from bench.scenarios.recovery import build

REPORT: Final = Path(__file__).parent / "report"
_FULL: Final = Options(
    rounds=5,
    seconds=5,
    soak_minutes=10,
    log_mib=10 << 10,
    properties=100_000,
    visitors=1_000_000,
    shapes=10_000,
    bodies=300,
    worst=15,
)
_HEADING: Final = f"\n{'':48} {'measured':>12} {'times':>6}  {'reference':36} {'at most':>8} {'goal':>5} {'':7} beside"
_QUICK: Final = Options(
    rounds=1, seconds=1, soak_minutes=0.2, log_mib=64, properties=2_000, visitors=10_000, shapes=20, bodies=2, worst=1
)


class _Results(msgspec.Struct):
    machine: str
    rows: list[Row]


def main() -> int:
    """Measure, print, write, draw; 1 where a bound does not hold."""
    arguments = _arguments()
    options = _QUICK if arguments.quick else _FULL
    options = options._replace(rounds=arguments.rounds or options.rounds, seconds=arguments.seconds or options.seconds)
    servers.check_cores()
    parts = arguments.part or list(_PARTS)
    if not _WITHOUT_WRK.issuperset(parts):
        wrk.check_installed()
    os.sched_setaffinity(0, {servers.LOAD_CORE})
    report = Path(arguments.report)
    report.mkdir(parents=True, exist_ok=True)
    rows = _earlier(report)
    for name in parts:
        rows = [row for row in rows if row.part != name]
        print(_HEADING)
        for row in _PARTS[name](options):
            rows.append(row)
            results = _Results(_machine(), rows)
            (report / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
            _print(row)
    print(f"\n{_machine()}; medians of {options.rounds} runs of {options.seconds} s")
    for path in [report / "results.json", *charts.draw(rows, report)]:
        print(f"written: {path}")
    return 1 if any(row.verdict == "BROKEN" for row in rows) else 0


def _log_sizes(options: Options) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        build(str(Path(folder) / "log" / "00"), options.log_mib)
        yield from requests.of_log_sizes(options, Path(folder))


_PARTS: Final[dict[str, Callable[[Options], Iterator[Row]]]] = {
    "requests": requests.of_kinds,
    "shapes": shapes.of_an_event,
    "hostile": hostile.of_bodies,
    "stages": stages.of_an_event,
    "connections": requests.of_connections,
    "workers": requests.of_workers,
    "disks": requests.of_disks,
    "sink": requests.of_a_dead_sink,
    "delay": delay.of_half_rate,
    "commit": delay.of_commits,
    "properties": requests.of_properties,
    "visitors": requests.of_visitors,
    "log": _log_sizes,
    "start": soak.of_start,
    "soak": soak.of_soak,
}
_WITHOUT_WRK: Final = frozenset(("shapes", "hostile", "start", "soak"))
"""Parts whose load is bench's own: wrk takes a refusal for a failure."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"what to measure: {', '.join(_PARTS)} (all, an hour and a quarter)")
    parser.add_argument("--rounds", type=int, help=f"runs of each, of which the median counts ({_FULL.rounds})")
    parser.add_argument("--seconds", type=int, help=f"length of a run ({_FULL.seconds})")
    parser.add_argument("--quick", action="store_true", help="one short run of each, to see that all works")
    parser.add_argument("--report", default=str(REPORT), help="folder of results and charts (bench/report)")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.part if name not in _PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(_PARTS)}")
    return arguments


def _earlier(report: Path) -> list[Row]:
    try:
        return msgspec.json.decode((report / "results.json").read_bytes(), type=_Results).rows
    except (FileNotFoundError, msgspec.MsgspecError):
        return []


def _machine() -> str:
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    processor = model.partition(":")[2].strip() or platform.machine()
    return f"{psutil.cpu_count()} cores of {processor}, Linux {platform.release()}, Python {platform.python_version()}"


def _print(row: Row) -> None:
    value = f"{row.value:.2f} {row.unit}" if row.unit != "us" else f"{row.value:.1f} us"
    times = "" if row.ratio is None else f"{row.ratio:.2f}"
    bounds = ["" if bound is None else f"{bound:g}" for bound in (row.most, row.goal)]
    print(
        f"{row.scenario:48} {value:>12} {times:>6}  {row.reference:36} {bounds[0]:>8} {bounds[1]:>5} "
        f"{row.verdict:7} {row.beside}",
        flush=True,
    )


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the servers that were started are stopped
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
