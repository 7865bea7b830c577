"""Folders as destinations: of the file sink, and what a consumer reads from files of either format."""

import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import zstandard

from collector.ship.stores.archive import FOLDER

_MEMBERS = (
    *("id", "received_at", "portal_id", "prop_id", "source", "dialect", "ip", "user_agent", "referer", "s2s"),
    *("occurred_at", "event_id", "au_id", "client_id", "session", "warnings"),
)
_OPTIONAL = ("occurred_at", "event_id", "dialect")


class Files:
    """A file sink's folder below `folder`."""

    poison: bytes | None = None
    knows_chain = True

    def __init__(self, folder: Path, kind: str = "ndjson") -> None:
        self.folder = folder / "events"
        self._kind = kind

    def toml(self) -> str:
        return (
            f'[[sink]]\ntype = "file"\ndir = "{self.folder}"\nformat = "{self._kind}"\n'
            "flush_seconds = 0.05\nflush_bytes = 65536\n"
        )

    def arrived(self) -> list[bytes]:
        return lines_in(contents_of(self._place))

    def down(self) -> None:
        """A file takes the folder's place."""
        self.folder.mkdir(exist_ok=True)
        self.folder.rename(self._away)
        self.folder.touch()

    def up(self) -> None:
        self.folder.unlink()
        self._away.rename(self.folder)

    def close(self) -> None:
        """Nothing was started."""

    @property
    def _away(self) -> Path:
        return self.folder.with_name("away")

    @property
    def _place(self) -> Path:
        return self._away if self._away.exists() else self.folder


def contents_of(folder: Path) -> dict[str, bytes]:
    """Every finished file below `folder`, by its name from there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".tmp")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def lines_in(contents: dict[str, bytes]) -> list[bytes]:
    """The events in files and objects, by the sequences in their names; all but the marks and the probe."""
    names = [name for name in contents if not name.startswith(f"{FOLDER}/")]
    return [line for name in sorted(names, key=_sequences) for line in _lines(name, contents[name])]


def rows_in(content: bytes) -> list[dict[str, Any]]:
    """The rows of a Parquet file."""
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(content)).to_pylist()
    return rows


def record_of(row: dict[str, Any]) -> bytes:
    """The record that a row was made of, as the log has it; the line itself if it was no record."""
    if row["received_at"] is None:
        return str(row["event"]).encode()
    session = {
        "id": row["session_id"],
        "start": round(row["session_start"].timestamp()),
        "hits": row["session_hits"],
        "new": row["session_new"],
    }
    times = {name: _unix_ms(row[name]) for name in ("received_at", "occurred_at")}
    made = row | times | {"session": session}
    known = {name: made[name] for name in _MEMBERS if made[name] is not None or name not in _OPTIONAL}
    text = json.dumps(known, separators=(",", ":"), ensure_ascii=False)
    return f'{text[:-1]},"event":{row["event"]}}}'.encode()


def _unix_ms(time: datetime | None) -> int | None:
    return None if time is None else round(time.timestamp() * 1000)


def _sequences(name: str) -> str:
    return name.rpartition("/")[2]


def _lines(name: str, content: bytes) -> list[bytes]:
    if name.endswith(".parquet"):
        return [record_of(row) for row in rows_in(content)]
    return zstandard.decompress(content).split(b"\n")[:-1]
