"""`collector redrive`."""

import argparse

from collector.cli.progress import print_member, progress_of
from collector.dead_letters.letter_selection import LetterSelection
from collector.dead_letters.redrive import RedriveReport, preview, redrive
from collector.errors import BadSettings
from collector.settings import load_settings
from wal.errors import LogLocked
from wal.tools.arguments import add_json, add_selection, selection_of
from wal.tools.terminal import harmless, prepare_stdout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the selection of dead letters, the dry run and the form of the output."""
    add_selection(parser)
    parser.add_argument("--reason", metavar="TEXT", help="only letters with this reason, as the console has it")
    parser.add_argument(
        "--id", dest="ids", action="append", default=[], metavar="ID", help="only this letter; repeat it for more"
    )
    parser.add_argument("--dry-run", action="store_true", help="count what would pass, and store nothing")
    add_json(parser)
    parser.epilog = "example: collector redrive --since 1d --where prop_id=2"


def run(options: argparse.Namespace) -> int:
    """Store the dead letters that pass today's rules, and print how many did."""
    settings = load_settings(options.config)
    letters = LetterSelection(selection_of(options), options.reason, frozenset(options.ids))
    run_letters = preview if options.dry_run else redrive
    try:
        with progress_of(_text, as_json=options.json) as show:
            report = run_letters(settings, letters, show)
    except LogLocked as error:
        raise BadSettings(f"{error}; another redrive runs, or a collector ships what it wrote: try again") from None
    prepare_stdout()
    if options.json:
        print_member("result", report)
    else:
        _print(report, "would be redriven" if options.dry_run else "redriven")
    return 0


def _text(report: RedriveReport) -> str:
    return f"{report.letters} dead letters"


def _print(report: RedriveReport, verb: str) -> None:
    print(f"{verb}: {report.redriven} dead letters, {report.events} events")
    print(f"redriven earlier: {report.earlier}")
    print(f"of a property that was removed: {report.unknown}")
    if report.of_sinks:
        print(f"refused by a sink: {report.of_sinks}; `collector replay --dead-letters` sends them there again")
    print(f"still refused: {report.refused.total()}")
    for reason, count in report.refused.most_common():
        print(f"  {count}: {harmless(reason)}")
