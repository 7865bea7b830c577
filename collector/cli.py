"""`collector`: serve, check the settings, sign links, and look after dead letters, sinks and relays."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import islice
from urllib.parse import urlencode

import msgspec

from collector.config import Settings, load_settings
from collector.errors import BadRedirect, BadSettings
from collector.ingest.redirect import Signer, location, parse_expiry
from collector.letters import Whole, read_letters
from collector.preflight import load_settings_to_check, load_settings_to_serve
from collector.redrive import Report, redrive
from collector.relay_cli import add_relay_forget, add_relay_list, forget_relay, list_relays
from collector.secret import load_secret
from collector.server import serve
from collector.shard import retention_warning
from collector.sink_cli import add_drop, add_replay, drop_sink, list_sinks, replay_to_sink
from wal.errors import LogLocked, WalError
from wal.tools.arguments import add_selection, count_argument, selection_of
from wal.tools.select import Selection
from wal.tools.terminal import harmless, prepare_stdout

_DEFAULT_CONFIG = "collector.toml"

Run = Callable[[Settings, argparse.Namespace], int]
Load = Callable[[str], Settings]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for what went wrong, 2 for a wrong call, 3 for a bad shard,
    130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    run: Run = options.run
    load: Load = options.load
    try:
        return run(load(options.config), options)
    except KeyboardInterrupt:
        return 130
    except (BadSettings, WalError, OSError) as error:
        for line in str(error).splitlines():
            print(f"collector: {line}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="collector", description="Takes events over HTTP, fsyncs each before its 200, and ships them exactly once."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "serve", _serve, "serve until SIGTERM or Ctrl-C", load_settings_to_serve)
    _command(commands, "check", _check, "check the settings file, and say all that is wrong", load_settings_to_check)
    sign = _command(commands, "sign-url", _sign_url, "sign where a redirect leads, so that its host need not be listed")
    sign.add_argument("url", metavar="URL", help="where the click shall lead, as it is: not percent-encoded once more")
    sign.add_argument("--portal-id", type=int, required=True, metavar="N", help="the portal that the link is for")
    sign.add_argument("--prop-id", type=int, required=True, metavar="N", help="the property of that portal")
    sign.add_argument("--expires", metavar="T", help="after 30d, 12h, or at 2026-12-31T00:00Z; without it never")
    dead = commands.add_parser("dead", help="look at dead letters", description="Look at what was refused, and why.")
    letters = dead.add_subparsers(required=True, metavar="COMMAND")
    listed = _command(letters, "ls", _dead_ls, "list dead letters, a line each, in order of time")
    listed.add_argument("-n", type=count_argument, metavar="N", help="at most so many")
    shown = _command(letters, "show", _dead_show, "print one dead letter, and what came byte by byte")
    shown.add_argument("id", metavar="ID", help="as `collector dead ls` prints it")
    again = _command(commands, "redrive", _redrive, "run dead letters through today's rules, each that passes once")
    for each in (listed, again):
        add_selection(each)
    sink = commands.add_parser("sink", help="look at sinks", description="Look at how far sinks are.")
    of_sink = sink.add_subparsers(required=True, metavar="COMMAND")
    _command(of_sink, "ls", list_sinks, "list sinks: cursor, what they are behind, state and last error")
    add_drop(_command(of_sink, "drop", drop_sink, "let a sink that is gone hold segments no more"))
    add_replay(_command(commands, "replay", replay_to_sink, "send retained events to a sink once more"))
    relay = commands.add_parser("relay", help="look at relays", description="Look at logs that other nodes ship here.")
    relayed = relay.add_subparsers(required=True, metavar="COMMAND")
    add_relay_list(_command(relayed, "ls", list_relays, "list relayed logs: next sequence, last batch and key"))
    add_relay_forget(_command(relayed, "forget", forget_relay, "release a log from its key, and keep how far it is"))
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Run,
    text: str,
    load: Load = load_settings,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.add_argument("--config", metavar="FILE", default=_DEFAULT_CONFIG, help=f"the settings ({_DEFAULT_CONFIG})")
    command.set_defaults(run=run, load=load)
    return command


def _serve(settings: Settings, _options: argparse.Namespace) -> int:
    return serve(settings)


def _check(settings: Settings, _options: argparse.Namespace) -> int:
    if warning := retention_warning(settings):
        print(f"collector: {warning}", file=sys.stderr)
    print(f"ok: {len(settings.property)} properties, {len(settings.sink)} sinks, {settings.server.workers} workers")
    return 0


def _sign_url(settings: Settings, options: argparse.Namespace) -> int:
    portal_id, prop_id = options.portal_id, options.prop_id
    if (portal_id, prop_id) not in {(each.portal_id, each.prop_id) for each in settings.property}:
        raise BadSettings(f"no property {portal_id}/{prop_id} in {options.config}; a link is signed for one of those")
    try:
        location(options.url, frozenset(), is_signed=True)
        expires = parse_expiry(options.expires, int(time.time())) if options.expires else None
    except BadRedirect as error:
        print(f"collector: {error.refusal.message}; nothing is signed that would not be followed", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"collector: --expires: {error}", file=sys.stderr)
        return 2
    signature = Signer(load_secret(settings)).sign(options.url, portal_id, prop_id, expires)
    print(urlencode({"resp_type": "redirect", "redirect_url": options.url, "redirect_sig": signature}))
    end = "without end" if expires is None else f"until {datetime.fromtimestamp(expires, UTC):%Y-%m-%d %H:%M:%S} UTC"
    print(f"valid for property {portal_id}/{prop_id} {end}", file=sys.stderr)
    return 0


def _dead_ls(settings: Settings, options: argparse.Namespace) -> int:
    prepare_stdout()
    for whole in islice(read_letters(settings.dead_letters.dir, selection_of(options)), options.n):
        letter = whole.letter
        when = datetime.fromtimestamp(letter.received_at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        fields = ",".join(fault.field for fault in letter.errors)
        where = f"{letter.portal_id}/{letter.prop_id}"
        text = f"{letter.id}  {when}  {where:24} {len(whole.body):>8} bytes  {letter.reason} {fields}"
        print(harmless(text.rstrip()))
    return 0


def _dead_show(settings: Settings, options: argparse.Namespace) -> int:
    prepare_stdout()
    for whole in read_letters(settings.dead_letters.dir, Selection()):
        if whole.letter.id == options.id:
            _show(whole)
            return 0
    raise BadSettings(f"no dead letter {options.id} in {settings.dead_letters.dir}; `collector dead ls` lists them")


def _show(whole: Whole) -> None:
    known = msgspec.json.decode(msgspec.json.encode(whole.letter))
    for name in ("encoding", "raw", "part", "of"):
        del known[name]
    print(harmless(json.dumps(known, indent=2), keep="\n"), flush=True)
    if sys.stdout.isatty():
        print(harmless(whole.body.decode("utf-8", "backslashreplace"), keep="\n\t"))
    else:
        sys.stdout.buffer.write(whole.body + b"\n")


def _redrive(settings: Settings, options: argparse.Namespace) -> int:
    is_shown = sys.stderr.isatty()

    def told(report: Report) -> None:
        if is_shown:
            print(f"\r{report.letters} dead letters", end="", file=sys.stderr, flush=True)

    try:
        report = redrive(settings, selection_of(options), told)
    except LogLocked as error:
        raise BadSettings(f"{error}; another redrive runs, or a collector ships what it wrote: try again") from None
    finally:
        if is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    prepare_stdout()
    print(f"redriven: {report.redriven} dead letters, {report.events} events")
    print(f"redriven earlier: {report.earlier}")
    print(f"of no property any more: {report.unknown}")
    if report.of_sinks:
        print(f"refused by a sink: {report.of_sinks}; `collector replay --dead-letters` sends them there again")
    print(f"still refused: {report.refused.total()}")
    for reason, count in report.refused.most_common():
        print(f"  {count}: {harmless(reason)}")
    return 0
