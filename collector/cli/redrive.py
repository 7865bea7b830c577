"""`collector redrive`."""

import argparse

from collector.cli.progress import progress
from collector.dead_letters.redrive import RedriveReport, redrive
from collector.errors import BadSettings
from collector.settings import load_settings
from wal.errors import LogLocked
from wal.tools.arguments import add_selection, selection_of
from wal.tools.terminal import harmless, prepare_stdout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the selection of dead letters."""
    add_selection(parser)
    parser.epilog = "example: collector redrive --since 1d --where prop_id=2"


def run(options: argparse.Namespace) -> int:
    """Store the dead letters that pass today's rules, and print how many did."""
    settings = load_settings(options.config)
    try:
        with progress() as show:
            report = redrive(settings, selection_of(options), lambda now: show(f"{now.letters} dead letters"))
    except LogLocked as error:
        raise BadSettings(f"{error}; another redrive runs, or a collector ships what it wrote: try again") from None
    prepare_stdout()
    _print(report)
    return 0


def _print(report: RedriveReport) -> None:
    print(f"redriven: {report.redriven} dead letters, {report.events} events")
    print(f"redriven earlier: {report.earlier}")
    print(f"of a property that was removed: {report.unknown}")
    if report.of_sinks:
        print(f"refused by a sink: {report.of_sinks}; `collector replay --dead-letters` sends them there again")
    print(f"still refused: {report.refused.total()}")
    for reason, count in report.refused.most_common():
        print(f"  {count}: {harmless(reason)}")
