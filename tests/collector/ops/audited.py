"""A data folder for the tests of the audit: logs of real records, shipped by real shippers to a store."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from collector.cli import main
from collector.dead_letters.budget import HourlyBudget
from collector.dead_letters.of_sinks import SinkDeadLetters
from collector.dead_letters.writer import DeadLetters
from collector.ops.counters import CounterBlock
from collector.ops.notices import Notices
from collector.settings import load_settings
from collector.shards.shard import Shard, open_log
from collector.ship.batch import Record
from collector.ship.stores.archive import FOLDER
from tests.collector.ship.batches import record
from tests.destinations.files import Files, contents_of
from tests.destinations.objects import Bucket
from wal.committer import Committer
from wal.files import Files as LogFiles
from wal.folder import LogFolder
from wal.log import Log, now_ms

_SETTINGS = "[log]\nmin_free_bytes = 0\n"


class Store(Protocol):
    """A destination whose files anybody may change."""

    def toml(self) -> str: ...
    def contents(self) -> dict[str, bytes]: ...
    def put(self, name: str, content: bytes) -> None: ...
    def delete(self, name: str) -> None: ...


class FilesStore(Files):
    """A file sink's folder."""

    def contents(self) -> dict[str, bytes]:
        return contents_of(self.folder)

    def put(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def delete(self, name: str) -> None:
        (self.folder / name).unlink()


class BucketStore(Bucket):
    """A bucket whose objects have one folder an hour, so that a batch is one object."""

    def toml(self) -> str:
        return super().toml() + 'partition = "date={date}/hour={hour}"\n'


class Node:
    """A folder with `collector.toml` and `data/`, and one store that its only sink ships to."""

    def __init__(self, folder: Path, store: Store, sink: str) -> None:
        self.folder, self.store, self.sink = folder, store, sink
        self.write_settings(store.toml())

    def write_settings(self, sinks: str) -> None:
        """Small batches, so that there are some files."""
        (self.folder / "collector.toml").write_text(_SETTINGS + sinks.replace("65536", "32768"))

    def log(self, shard: str = "00") -> LogFolder:
        return LogFolder(LogFiles(), str(self.folder / "data/log" / shard))

    def log_id(self, shard: str = "00") -> str:
        return self.log(shard).log_id.decode()

    def fill(self, events: int, shard: str = "00", **options: Any) -> list[bytes]:
        """Append events in blocks of 10, of the properties 1 and 2 and the sources web and pos in turn."""
        log = Log(str(self.folder / "data/log" / shard), **options)
        lines: list[bytes] = []
        while events > 0:
            numbers = range(log.end.sequence, log.end.sequence + min(events, 10))
            block = [_line(log.log_id, number) for number in numbers]
            log.commit(b"".join(block), len(block))
            lines += block
            events -= len(block)
        log.close()
        return lines

    def relay(self, events: int, node: str = "00000000000000aa") -> None:
        """Append a block of events of another node, which keep their ids."""
        log = Log(str(self.folder / "data/log/00"))
        numbers = range(7, 7 + events)
        log.commit(b"".join([_line(node.encode(), number) for number in numbers]), events)
        log.close()

    def ship(self, *shards: str) -> None:
        """Ship whole logs."""
        for shard in shards or ("00",):
            asyncio.run(self._ship(shard))

    def refuse(self, line: bytes, sink: str | None = None) -> None:
        """Write the dead letter of an event that a sink refused."""
        asyncio.run(self._refuse(line, sink or self.sink))

    def files(self, shard: str = "00") -> list[str]:
        """The names of the files of a log, in order of their events."""
        names = [name for name in self.store.contents() if not name.startswith(FOLDER)]
        return sorted([name for name in names if self.log_id(shard) in name], key=lambda name: name.rpartition("/")[2])

    def content(self, name: str) -> bytes:
        return self.store.contents()[name]

    def audit(self, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
        """The JSON that `collector audit` prints, and the exit code that it must have."""
        text = self.printed(capsys, "--json", *arguments, code=code)
        return json.loads(text)

    def printed(self, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        found = main(["audit", "--config", str(self.folder / "collector.toml"), *arguments])
        text = capsys.readouterr()
        assert found == code, text
        return text.out

    async def _ship(self, shard: str) -> None:
        settings = load_settings(str(self.folder / "collector.toml"))
        with self._dead_letters(shard) as letters:
            ours = Shard(settings, open_log(settings, self.log(shard).path), letters[0])
            ours.start()
            await ours.close(grace_seconds=None)
            await letters[1].close()

    async def _refuse(self, line: bytes, sink: str) -> None:
        with self._dead_letters("00") as (letters, dead):
            await letters.put(sink, Record(now_ms(), 0, line.rstrip(b"\n")), "too odd", maybe_again=False)
            await dead.close()

    @contextmanager
    def _dead_letters(self, shard: str) -> Iterator[tuple[SinkDeadLetters, Committer]]:
        directory = str(self.folder / "data/dead")
        dead = Committer(Log(f"{directory}/{shard}"))
        budget = HourlyBudget(1 << 30, 1, now_ms)
        try:
            yield SinkDeadLetters(DeadLetters(dead, budget, Notices(), CounterBlock.create()), directory), dead
        finally:
            dead.log.close()


def totals(report: Any) -> dict[str, int]:
    """The accounts of all properties and sinks together, without zeros."""
    found: dict[str, int] = {}
    for account in report["accounts"]:
        for name, value in account.items():
            if name not in ("portal_id", "prop_id", "sink") and value:
                found[name] = found.get(name, 0) + value
    return found


def differences(report: Any) -> list[tuple[str, str, list[list[int]], list[str]]]:
    """Kind, log, ranges and places of each difference."""
    return [(each["kind"], each["log_id"], each["ranges"], each["places"]) for each in report["differences"]]


def _line(log_id: bytes, number: int) -> bytes:
    line = record(number, ("web", "pos")[number % 2]).replace(b"0123456789abcdef", log_id)
    return line.replace(b'"prop_id":2', b'"prop_id":%d' % (1 + number % 2))
