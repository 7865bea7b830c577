"""`collector relay ls`."""

import argparse
from collections.abc import Iterator
from typing import Final

from collector.errors import BadSettings, RelayBlocked
from collector.ingest.policy.write_keys import key_digest
from collector.relays.marks import Marks, RelayMark, key_name
from collector.settings import Settings, load_settings
from wal.tools.arguments import add_json
from wal.tools.listing import utc
from wal.tools.tables import Column, Row, print_rows
from wal.tools.terminal import prepare_stdout

_COLUMNS: Final = (Column("log"), Column("next seq", is_number=True), Column("last batch (UTC)"), Column("key"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the form of the output."""
    add_json(parser)
    parser.epilog = (
        "exit codes: 0 done, 1 a mark is damaged, or an error, 2 a wrong call\n\nexample: collector relay ls"
    )


def run(options: argparse.Namespace) -> int:
    """Print each relayed log. Exit code 1 if a mark is damaged."""
    settings = load_settings(options.config)
    prepare_stdout()
    marks, keys = list(_marks(settings)), _Keys(settings)
    print_rows(_COLUMNS, (_row(log_id, mark, keys) for log_id, mark in marks), as_json=options.json)
    return int(any(isinstance(mark, RelayBlocked) for _, mark in marks))


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


def _row(log_id: str, mark: RelayMark | RelayBlocked, keys: _Keys) -> Row:
    if isinstance(mark, RelayBlocked):
        return Row({"log_id": log_id, "error": str(mark)}, (log_id, "?", "?", mark))
    members = {
        "log_id": log_id,
        "next": mark.next,
        "chain": mark.chain,
        "last_ms": mark.last_ms,
        "key": keys.setting(mark),
        "is_bound": mark.key is not None,
    }
    return Row(members, (log_id, mark.next, utc(mark.last_ms) if mark.last_ms else "never", keys.text(mark)))
