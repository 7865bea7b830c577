"""`collector relay ls`."""

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime

from collector.errors import BadSettings, RelayBlocked
from collector.ingest.policy.write_keys import key_digest
from collector.relays.marks import Marks, RelayMark, key_name
from collector.settings import Settings, load_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the form of the output."""
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(options: argparse.Namespace) -> int:
    """Print each relayed log, one a line. Exit code 1 if a mark is damaged."""
    settings = load_settings(options.config)
    row = "{:16}  {:>16}  {:19}  {}"
    if not options.json:
        print(row.format("log", "next seq", "last batch, UTC", "key"))
    keys, is_damaged = _Keys(settings), False
    for log_id, mark in _marks(settings):
        is_damaged |= isinstance(mark, RelayBlocked)
        if options.json:
            print(json.dumps({"log_id": log_id, **_members(mark, keys)}))
        elif isinstance(mark, RelayBlocked):
            print(row.format(log_id, "?", "?", mark))
        else:
            print(row.format(log_id, mark.next, _time(mark.last_ms), keys.text(mark)))
    return int(is_damaged)


class _Keys:
    """The settings' relay keys by their names in marks, as far as this environment has them."""

    def __init__(self, settings: Settings) -> None:
        self._settings: dict[str, str] = {}
        self._unset: list[str] = []
        for setting in settings.server.relay_keys:
            try:
                self._settings[key_name(key_digest("server.relay_keys", setting))] = setting
            except BadSettings:
                self._unset.append(setting)

    def setting(self, mark: RelayMark) -> str | None:
        """`env:NAME` of the key that a log is bound to; None for none, and for a key that is not known here."""
        return self._settings.get(mark.key or "")

    def text(self, mark: RelayMark) -> str:
        """The same for people."""
        if mark.key is None:
            return "none: the next key that sends it gets it"
        unknown = f"unknown: {', '.join(self._unset)} is not set here" if self._unset else "not in the settings"
        return self.setting(mark) or unknown


def _marks(settings: Settings) -> Iterator[tuple[str, RelayMark | RelayBlocked]]:
    marks = Marks(settings.log.dir)
    for log_id in marks.log_ids():
        try:
            yield log_id, marks.read(log_id)
        except RelayBlocked as error:
            yield log_id, error


def _members(mark: RelayMark | RelayBlocked, keys: _Keys) -> dict[str, object]:
    if isinstance(mark, RelayBlocked):
        return {"error": str(mark)}
    return {
        "next": mark.next,
        "chain": mark.chain,
        "last_ms": mark.last_ms,
        "key": keys.setting(mark),
        "is_bound": mark.key is not None,
    }


def _time(unix_ms: int) -> str:
    if not unix_ms:
        return "never"
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(" ", "seconds").removesuffix("+00:00")
