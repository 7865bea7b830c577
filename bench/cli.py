"""The command line of the bench: the scenarios, what each needs, and the loop that runs them."""

import argparse
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from bench import BenchError, servers
from bench.kafka.jars import why_not as why_no_kafka
from bench.measure import Options, Row, progress
from bench.results import Results, machine
from bench.scenarios import (
    conditions,
    console,
    delay,
    event_ids,
    hostile,
    kafka,
    latency,
    outage,
    recovery,
    refusals,
    requests,
    segments,
    shapes,
    shipping,
    slow,
    soak,
    stages,
    tracker,
    url,
    viewer,
)

REPORT: Final = Path(__file__).parent / "report"
_DESCRIPTION: Final = (
    "Measure Tracklog on this machine, or load a deployment with --url. bench/README.md tells how to read it."
)
_ROUNDS: Final = 5
_SECONDS: Final = 5
_QUICK_SECONDS: Final = 0.3
"""Long enough for the CPU time of a server to move, which the kernel counts in steps of 10 ms."""
_URL_RATE: Final = 500.0
_URL_CONNECTIONS: Final = 64
_QUICK_NOTE: Final = (
    "--quick: each ran for a moment, to show that it works; the numbers mean nothing and no bound is judged"
)
Need = Callable[[], str]


def _wrk() -> str:
    return "" if shutil.which("wrk") else "wrk is not installed; on Debian: apt-get install wrk"


def _strace() -> str:
    return "" if shutil.which("strace") else "strace is not installed; on Debian: apt-get install strace"


class Scenario(NamedTuple):
    """A scenario: what yields its rows, and what tells why it can't run here (empty: it can)."""

    measure: Callable[[Options], Iterator[Row]]
    needs: tuple[Need, ...] = ()
    by_default: bool = True

    @property
    def summary(self) -> str:
        """One line."""
        return (self.measure.__doc__ or "").strip()

    @property
    def why_not(self) -> str:
        """The reason why it can't run here; empty if it can."""
        return next(filter(None, (need() for need in (servers.why_too_few_cores, *self.needs))), "")


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "requests": Scenario(requests.of_requests, (_wrk,)),
    "segments": Scenario(segments.of_segments),
    "refusals": Scenario(refusals.of_refusals),
    "ids": Scenario(event_ids.of_event_ids, (_wrk,)),
    "shapes": Scenario(shapes.of_shapes),
    "hostile": Scenario(hostile.of_hostile),
    "stages": Scenario(stages.of_stages, (_wrk,)),
    "connections": Scenario(conditions.of_connections, (_wrk,)),
    "workers": Scenario(conditions.of_workers, (_wrk,)),
    "disks": Scenario(conditions.of_disks, (_wrk, _strace)),
    "sink": Scenario(conditions.of_sink, (_wrk,)),
    "delay": Scenario(delay.of_delay, (_wrk,)),
    "commit": Scenario(delay.of_commit),
    "properties": Scenario(conditions.of_properties, (_wrk,)),
    "visitors": Scenario(conditions.of_visitors, (_wrk,)),
    "log": Scenario(conditions.of_log, (_wrk,)),
    "start": Scenario(recovery.of_start),
    "soak": Scenario(soak.of_soak),
    "recovery": Scenario(recovery.of_recovery),
    "slow": Scenario(slow.of_slow),
    "shipping": Scenario(shipping.of_shipping, (_wrk,)),
    "latency": Scenario(latency.of_latency),
    "kafka": Scenario(kafka.of_kafka, (why_no_kafka,)),
    "tracker": Scenario(tracker.of_tracker, (tracker.why_not,)),
    "console": Scenario(console.of_console),
    "viewer": Scenario(viewer.of_viewer, (_wrk, viewer.why_not)),
    "outage": Scenario(outage.of_outage, by_default=False),
}


def main() -> int:
    """Measure and print; 1 where a bound is broken or a scenario failed."""
    parser = _parser()
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.scenario if name not in SCENARIOS]:
        parser.error(f"no such scenario: {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    try:
        return _load_url(arguments) if arguments.url else _measure(arguments)
    except BenchError as error:
        parser.exit(1, f"bench: {error}\n")


def _load_url(arguments: argparse.Namespace) -> int:
    results = Results(None, is_json=arguments.json, is_judged=True)
    seconds = arguments.seconds or _SECONDS
    rows = url.measure(url.parse_target(arguments.url), arguments.rate, seconds, arguments.connections)
    results.begin("url")
    for row in rows:
        results.add("url", row)
    return int(results.is_broken)


def _measure(arguments: argparse.Namespace) -> int:
    named, options = arguments.scenario, _options(arguments)
    chosen = {name: each for name, each in SCENARIOS.items() if (name in named if named else each.by_default)}
    if named and (reason := next((f"{name}: {each.why_not}" for name, each in chosen.items() if each.why_not), "")):
        raise BenchError(reason)
    results = Results(_folder(arguments), is_json=arguments.json, is_judged=not arguments.quick)
    os.sched_setaffinity(0, {servers.LOAD_CORE})
    holds = run(chosen, options, results)
    progress(f"\n{machine()}; medians of {options.rounds} runs of {options.seconds} s")
    if not named:
        progress(f"not measured unless named: {', '.join(name for name in SCENARIOS if name not in chosen)}")
    if arguments.quick:
        progress(_QUICK_NOTE)
    return 0 if holds else 1


def run(scenarios: Mapping[str, Scenario], options: Options, results: Results) -> bool:
    """Measure one scenario after the other. One that can't run is skipped.

    Returns whether none failed and no bound was broken.
    """
    failed = False
    for name, scenario in scenarios.items():
        if reason := scenario.why_not:
            progress(f"{name}: skipped: {reason}")
            continue
        results.begin(name)
        try:
            for row in scenario.measure(options):
                results.add(name, row)
        except BenchError as error:
            progress(f"{name}: failed: {error}")
            failed = True
    results.draw()
    return not failed and not results.is_broken


def _options(arguments: argparse.Namespace) -> Options:
    rounds, seconds = (1, _QUICK_SECONDS) if arguments.quick else (_ROUNDS, _SECONDS)
    return Options(
        arguments.rounds or rounds, arguments.seconds or seconds, arguments.quick, arguments.minutes, arguments.mib
    )


def _folder(arguments: argparse.Namespace) -> Path | None:
    """The folder of the report: what --quick measures must not replace what was measured."""
    return Path(arguments.report) if arguments.report else None if arguments.quick else REPORT


def _parser() -> argparse.ArgumentParser:
    lines = [
        f"  {name:12} {each.summary}{'' if each.by_default else ' (if named)'}" for name, each in SCENARIOS.items()
    ]
    epilog = "\n".join(["scenarios:", *lines])
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m bench", description=_DESCRIPTION, epilog=epilog, formatter_class=shape)
    parser.add_argument("scenario", nargs="*", help="what to measure (all but those marked below, an hour and a half)")
    parser.add_argument("--quick", action="store_true", help="each for a moment, to see that it works")
    parser.add_argument("--json", action="store_true", help="print rows as JSON lines")
    parser.add_argument("--report", help="folder of results and charts (bench/report; with --quick none)")
    parser.add_argument("--rounds", type=int, help=f"runs of each load; the median counts ({_ROUNDS})")
    parser.add_argument("--seconds", type=int, help=f"length of a run, and of the load on --url ({_SECONDS})")
    parser.add_argument("--minutes", type=float, help="length of soak and outage (10, 60)")
    parser.add_argument("--mib", type=int, help="size of the log in log, start and recovery (10240, 1024, 1024)")
    parser.add_argument("--url", help="load this deployment instead: http://HOST:PORT/event?portal_id=…&prop_id=…")
    parser.add_argument("--rate", type=float, default=_URL_RATE, help=f"requests a second to --url ({_URL_RATE:g})")
    connections = f"connections to --url ({_URL_CONNECTIONS})"
    parser.add_argument("--connections", type=int, default=_URL_CONNECTIONS, help=connections)
    return parser
