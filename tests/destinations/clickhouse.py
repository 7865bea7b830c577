"""ClickHouse's engine with the tables and the sink of docs/guides/clickhouse.md, in a process of its own."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.destinations.child import Child

PAGE = (Path(__file__).parents[2] / "docs/guides/clickhouse.md").read_text("utf-8")
TABLES, REPLICATED, CHECK, ONCE, ONCE_QUERY, ONCE_COPY = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
(SINK,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
(ONCE_MARKS,) = re.findall(r"```text\n(.*?)\\\n```", PAGE, re.DOTALL)
PASSWORD = "s3cret-of-clickhouse"
_MEMBERS = (
    "id, received_at, portal_id, prop_id, source, dialect, ip, user_agent, referer, s2s, occurred_at, event_id, au_id, "
    "client_id, session, warnings, event"
)
_OPTIONAL = {"event_id": None, "dialect": None}
"""Members that a record may lack, and what the column holds then."""


@contextmanager
def engine(folder: Path) -> Iterator[Child]:
    """The server of ClickHouse's engine, with its data below `folder`, for one destination after the other."""
    server = Child("tests.destinations.clickhouse_server", folder / "clickhouse")
    try:
        yield server
    finally:
        server.kill()


class ClickHouse:
    """A Destination for the records that the collector writes; see the protocol."""

    poison: bytes | None = b'{"id":"0123456789abcdef-0","received_at":"never","event":{}}\n'
    knows_chain = False
    tables = TABLES

    def __init__(self, engine: Child) -> None:
        """Tables of an earlier destination are dropped: a start of the engine takes a second."""
        self._engine = engine
        self._is_up = True
        self.query("DROP DATABASE IF EXISTS tracklog SYNC")
        self.make(self.tables)

    def toml(self) -> str:
        here = f"127.0.0.1:{self._engine.port}"
        page = re.sub(r"^headers = .*\n", "", SINK, flags=re.MULTILINE).replace("clickhouse:8123", here)
        return re.sub(
            r"^flush_bytes = .*\nflush_seconds = .*", "flush_bytes = 4096\nflush_seconds = 0.05", page, flags=re.M
        )

    def arrived(self) -> list[bytes]:
        rows = self.query(f"SELECT {_MEMBERS} FROM tracklog.events ORDER BY log_id, sequence FORMAT JSONEachRow")
        return [_record(line) for line in rows.splitlines()]

    def down(self) -> None:
        self._is_up = False
        self._engine.kill()

    def up(self) -> None:
        self._engine.start()
        self._is_up = True

    def close(self) -> None:
        if not self._is_up:
            self.up()

    def make(self, tables: str) -> None:
        """Run statements, each of which ends in a semicolon."""
        for statement in filter(str.strip, tables.split(";")):
            self.query(statement)

    def query(self, query: str) -> bytes:
        """The result of a query; AssertionError with what ClickHouse says where it says no."""
        url = f"http://127.0.0.1:{self._engine.port}/?output_format_json_quote_64bit_integers=0"
        try:
            with urllib.request.urlopen(url, query.encode(), timeout=30) as response:
                result: bytes = response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(error.read().decode()) from None
        return result


class ClickHouseLines(ClickHouse):
    """The same for JSON lines of any kind: the sink of the page, and a table that has each line whole."""

    poison = b'{"id":"0123456789abcdef-poison"}\n'
    tables = """
        CREATE DATABASE tracklog;
        CREATE TABLE tracklog.events (
            line String,
            log_id String MATERIALIZED substringIndex(JSONExtractString(line, 'id'), '-', 1),
            sequence UInt64 MATERIALIZED toUInt64(substringIndex(JSONExtractString(line, 'id'), '-', -1))
        ) ENGINE = MergeTree ORDER BY (log_id, sequence) SETTINGS non_replicated_deduplication_window = 100000;
        CREATE VIEW tracklog.events_flat AS SELECT log_id, sequence FROM tracklog.events
    """

    def toml(self) -> str:
        return super().toml().replace("INTO events FORMAT JSONEachRow", "INTO events FORMAT JSONAsString")

    def arrived(self) -> list[bytes]:
        rows = self.query("SELECT line FROM tracklog.events ORDER BY log_id, sequence FORMAT JSONEachRow")
        return [json.loads(row)["line"].encode() for row in rows.splitlines()]


def _record(row: bytes) -> bytes:
    """The line of the log, from the row that it became: `session` and `event` are JSON as it stood there."""
    values = {name: value for name, value in json.loads(row).items() if value != _OPTIONAL.get(name, ...)}
    raw = {
        name: values[name].encode() if name in ("session", "event") else msgspec.json.encode(values[name])
        for name in values
    }
    return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), value) for name, value in raw.items())
