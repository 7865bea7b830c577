"""The accounts of a node over its restarts: each event counts once, whichever way it becomes known."""

import json
import os
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from collector.ingest.accounts.settling import PLACE, pack
from collector.ops.console.accounts.accounts import PAGE_ROWS, AccountBooks, open_books
from collector.ops.console.accounts.logs import Logs
from collector.ops.console.accounts.open_events import QUIET_MS, Balance
from collector.ops.console.accounts.rows import covered_since
from collector.ops.console.accounts.store import DAY_MS, OTHERS, AccountStore
from collector.ops.console.accounts.tables import open_tables
from collector.ops.counters import CounterBlock
from collector.ops.metric_table import DUPLICATE, RECEIVED, REJECTED, SHED, STORED, UNKNOWN
from collector.ops.refusals import RefusalRing
from collector.settings import load_settings
from tests.wal.logs import Clock
from wal.cursor import Cursor
from wal.damage import Damage, Kind, append
from wal.format import Position
from wal.log import Log

_NOON = 20_000 * DAY_MS + DAY_MS // 2
_SINK = '[[sink]]\ntype = "file"\nname = "files"\ndir = "out"\n'
_LOGS = '[log]\ndir = "log"\n[dead_letters]\ndir = "dead"\n'


class Node:
    """A data folder, a supervisor that may start again, and an admin process that may, too."""

    def __init__(self, folder: Path, sinks: str = "", start_ms: int = _NOON) -> None:
        self.folder = folder
        (folder / "collector.toml").write_text(_LOGS + sinks)
        self.settings = load_settings(str(folder / "collector.toml"))
        self.clock = Clock()
        self.clock.ms = start_ms
        self.boot()

    def boot(self) -> None:
        """Start the supervisor: all counters are 0."""
        self.block = CounterBlock.create()
        self.boot_ms = self.clock.ms
        self.log = Log(str(self.folder / "log/00"), clock=self.clock)
        self.block.values[self.block.slot(PLACE, "00")] = pack(self.log.end)
        self.restart_admin()

    def end(self) -> None:
        self.log.close()
        self.books.close()

    def restart_admin(self) -> None:
        logs = Logs(self.settings, "c.toml")
        self.books = open_books(str(self.folder / "accounts.sqlite"), logs, [self.block], self.boot_ms)

    def store(self, prop_id: int, events: int, *, is_counted: bool = True, log_id: bytes = b"") -> None:
        """Store events of property 1/PROP_ID as a worker does."""
        self.clock.ms += 1
        numbers = range(self.log.end.sequence, self.log.end.sequence + events)
        lines = [_line(log_id or self.log.log_id, number, prop_id) for number in numbers]
        self.log.commit(b"".join(lines), events)
        if is_counted:
            self.block.values[self.block.slot(PLACE, "00")] = pack(self.log.end)
            self.count(STORED.name, prop_id, events)

    def count(self, name: str, prop_id: int, events: int, *code: str) -> None:
        self.block.add(events, name, "1", str(prop_id), *code)
        self.block.add(events, RECEIVED.name, "1", str(prop_id))

    def save(self, after_ms: int = 2000) -> None:
        self.clock.ms += after_ms
        self.books.save(self.clock.ms, [self.block.read()])

    def read_all(self) -> None:
        for _ in range(100):
            if not self.books.step():
                return
        pytest.fail("the log is never read")

    def answer(self, days: int = 1, after: int = 0, text: str = "") -> dict[str, Any]:
        """The accounts of the last days."""
        today = self.clock.ms // DAY_MS
        return self.books.accounts(today - days + 1, today, after, text, self.clock.ms)

    def stored(self, days: int = 1) -> dict[str, int]:
        return {row["property"]: row["stored"] for row in self.answer(days)["rows"]}


def _line(log_id: bytes, number: int, prop_id: int, **members: Any) -> bytes:
    line = {"id": f"{log_id.decode()}-{number}", "portal_id": 1, "prop_id": prop_id} | members
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


@pytest.fixture
def node(tmp_path: Path) -> Iterable[Node]:
    node = Node(tmp_path)
    yield node
    node.end()


def test_what_was_received_is_stored_duplicate_rejected_shed_or_waits(node: Node) -> None:
    node.store(2, 10)
    node.count(DUPLICATE.name, 2, 3)
    node.count(REJECTED.name, 2, 4, "invalid_event")
    node.count(REJECTED.name, 2, 1, "forbidden")
    node.count(SHED.name, 2, 2, "unavailable")
    node.block.add(5, RECEIVED.name, "1", "2")
    node.block.add(6, RECEIVED.name, "", "")
    node.block.add(6, REJECTED.name, "", "", "invalid_query")
    node.save()
    node.read_all()
    first, second = node.answer()["rows"]
    assert first == {
        "property": "1/2",
        "received": 25,
        "stored": 10,
        "duplicate": 3,
        "rejected": 5,
        "shed": 2,
        "waiting": 5,
        "balance": Balance.UNDER_WAY,
        "codes": {"invalid_event": 4, "unavailable": 2, "forbidden": 1},
        "redriven": 0,
        "delivered": None,
        "pending": None,
        "dead": 0,
        "days": [None] * 29 + [20],
    }
    assert (second["property"], second["received"], second["codes"]) == ("(none)", 6, {"invalid_query": 6})
    assert second["balance"] is Balance.SETTLED


def test_an_account_balances_if_as_many_outcomes_as_events_are_counted(node: Node) -> None:
    def said() -> tuple[Balance, int, int]:
        (row,) = node.answer()["rows"]
        return row["balance"], row["waiting"], row["received"]

    node.store(2, 10)
    node.save()
    assert said() == (Balance.SETTLED, 0, 10)
    node.block.add(3, RECEIVED.name, "1", "2")
    node.save(QUIET_MS // 2)
    assert said() == (Balance.SETTLED, 3, 13), "it balanced half a minute ago"
    node.store(2, 5)
    node.save(QUIET_MS)
    assert said() == (Balance.UNDER_WAY, 3, 18), "others came meanwhile"
    node.save(QUIET_MS)
    assert said() == (Balance.DIFFERS, 3, 18)
    node.block.add(4, STORED.name, "1", "2")
    node.save(QUIET_MS)
    assert said() == (Balance.DIFFERS, -1, 18), "more outcomes than events"
    node.block.add(1, RECEIVED.name, "1", "2")
    node.save()
    assert said() == (Balance.SETTLED, 0, 19)


def test_an_account_of_days_that_no_counter_saw_is_not_said_to_balance(node: Node) -> None:
    node.store(2, 10)
    node.save()
    node.end()
    node.clock.ms += DAY_MS
    node.boot()
    node.store(3, 1)
    node.block.add(2, RECEIVED.name, "1", "3")
    node.save()
    today = node.clock.ms // DAY_MS
    (yesterday,) = node.books.accounts(today - 1, today - 1, 0, "", node.clock.ms)["rows"]
    assert (yesterday["property"], yesterday["balance"], yesterday["waiting"]) == ("1/2", None, 0)
    (row,) = node.answer()["rows"]
    assert (row["property"], row["balance"], row["waiting"]) == ("1/3", Balance.UNDER_WAY, 2)
    assert {row["property"]: row["balance"] for row in node.answer(days=2)["rows"]} == {
        "1/2": None,
        "1/3": Balance.UNDER_WAY,
    }


def test_another_admin_process_goes_on_where_the_last_one_saved(node: Node) -> None:
    node.store(2, 10)
    node.save()
    node.books.close()
    node.store(2, 5)
    node.restart_admin()
    node.save()
    node.save()
    node.read_all()
    assert node.stored() == {"1/2": 15}
    assert node.answer()["unknown_before_ms"] is None, "the log began with this start"


def test_after_a_restart_each_event_counts_once_those_that_nobody_saved_too(node: Node) -> None:
    node.store(2, 10)
    node.save()
    node.store(2, 4)
    node.store(3, 3)
    node.end()
    node.clock.ms += 5000
    node.boot()
    node.store(2, 100)
    node.save()
    assert node.answer()["is_reading"]
    node.read_all()
    assert node.stored() == {"1/2": 114, "1/3": 3}
    assert (node.answer()["is_reading"], node.answer()["unknown_before_ms"]) == (False, None)
    for _ in range(2):
        node.end()
        node.clock.ms += 5000
        node.boot()
        node.save()
        node.read_all()
    assert node.stored() == {"1/2": 114, "1/3": 3}


def test_a_gap_that_is_half_read_goes_on_after_another_start(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        node.store(2 + number % 2, 10, is_counted=False)
    node.end()
    node.clock.ms += 60_000
    (node.folder / "accounts.sqlite").unlink()
    node.boot()
    monkeypatch.setattr("collector.ops.console.accounts.accounts._STEP_SECONDS", 0.0)  # a block a step
    assert node.books.step()
    assert node.books.step()
    half = sum(node.stored().values())
    assert 0 < half < 60
    node.end()
    node.clock.ms += 60_000
    node.boot()
    node.read_all()
    assert node.stored() == {"1/2": 30, "1/3": 30}


def test_a_node_that_ran_before_its_accounts_has_what_the_log_has_and_says_since_when(tmp_path: Path) -> None:
    node = Node(tmp_path, start_ms=_NOON - 2 * DAY_MS)
    node.store(2, 10, is_counted=False)
    node.clock.ms += DAY_MS
    node.store(2, 20, is_counted=False)
    node.end()
    (node.folder / "accounts.sqlite").unlink()
    node.clock.ms = _NOON
    node.boot()
    node.store(2, 1)
    node.count(REJECTED.name, 2, 7, "forbidden")
    node.save()
    node.read_all()
    today = node.answer()
    assert (today["unknown_before_ms"], today["stored_unknown_before_ms"]) == (_NOON, None)
    assert (today["from_ms"], today["to_ms"]) == (20_000 * DAY_MS, 20_001 * DAY_MS)
    month = node.answer(days=30)
    (row,) = month["rows"]
    assert (row["received"], row["stored"], row["days"]) == (38, 31, [None] * 27 + [10, 20, 8])
    assert month["unknown_before_ms"] == _NOON
    node.end()


def test_relayed_events_are_in_no_account(node: Node) -> None:
    node.store(2, 10, is_counted=False, log_id=b"00000000000000aa")
    node.store(2, 1, is_counted=False)
    node.end()
    (node.folder / "accounts.sqlite").unlink()
    node.clock.ms += 60_000
    node.boot()
    node.read_all()
    assert node.stored() == {"1/2": 1}


def test_what_is_stored_is_delivered_pending_or_dead(tmp_path: Path) -> None:
    node = Node(tmp_path, _SINK)
    node.store(2, 10)
    end = node.log.end
    node.store(2, 3)
    node.store(3, 4)
    node.save()
    folder = node.log.folder
    folder.ensure_cursor("files", end)
    dead = Log(str(tmp_path / "dead/00"))
    refused = {"received_at": node.clock.ms, "sink": "files"}
    letters = [_line(b"d" * 16, 1, 2, **refused), _line(b"d" * 16, 2, 2, **refused, part=2, of=2)]
    letters += [_line(b"d" * 16, 3, 2, received_at=node.clock.ms), b'{"other":1}\n']
    dead.commit(b"".join(letters), len(letters))
    dead.close()
    assert node.answer()["rows"][0]["dead"] is None, "they are not counted yet"
    node.read_all()
    node.read_all()
    rows = {row["property"]: (row["delivered"], row["pending"], row["dead"]) for row in node.answer()["rows"]}
    assert rows == {"1/2": (9, 3, 1), "1/3": (0, 4, 0)}
    folder.save_cursor("files", Cursor(node.log.end))
    node.books._logs._backlog = (0.0, None)
    rows = {row["property"]: (row["delivered"], row["pending"], row["dead"]) for row in node.answer()["rows"]}
    assert rows == {"1/2": (12, 0, 1), "1/3": (4, 0, 0)}
    (tmp_path / "log/00/cursors/files.json").write_text("broken")
    node.books._logs._backlog = (0.0, None)
    assert node.answer()["rows"][0]["delivered"] is None
    node.end()


def test_redriven_events_were_received_before_and_are_delivered(tmp_path: Path) -> None:
    node = Node(tmp_path, _SINK)
    node.count(REJECTED.name, 2, 5, "invalid_event")
    node.save()
    for day in range(2):
        _append(tmp_path / "log/redrive", node.clock.ms, 5)
        node.read_all()
        (row,) = node.answer(days=2)["rows"]
        assert (row["received"], row["stored"], row["rejected"]) == (5, 0, 5)
        assert (row["redriven"], row["delivered"], row["pending"]) == (5 * day + 5, 5 * day + 5, 0)
        assert sum(each or 0 for each in row["days"]) == 5
        node.end()
        node.clock.ms += DAY_MS
        node.boot()
        node.save()
    node.read_all()
    assert not node.answer(days=3)["is_reading"]
    node.end()


def _append(path: Path, ms: int, events: int) -> None:
    """Store events of property 1/2 in another log, all delivered."""
    with closing(Log(str(path), clock=lambda: ms)) as log:
        numbers = range(log.end.sequence, log.end.sequence + events)
        log.commit(b"".join(_line(log.log_id, number, 2) for number in numbers), events)
        log.folder.ensure_cursor("files", log.end)
        log.folder.save_cursor("files", Cursor(log.end))


def test_an_event_counts_once_whatever_several_sinks_did_with_it(tmp_path: Path) -> None:
    node = Node(tmp_path, _SINK + _SINK.replace("files", "more").replace("out", "more"))
    node.store(2, 10)
    middle = node.log.end
    node.store(2, 10)
    node.save()
    folder, events = node.log.folder, node.log.log_id
    folder.ensure_cursor("files", node.log.end)
    folder.ensure_cursor("more", middle)
    with closing(Log(str(tmp_path / "dead/00"))) as dead:
        refused = {"received_at": node.clock.ms, "encoding": "json"}
        letters = [
            _line(b"d" * 16, number, 2, **refused, sink=sink, raw=json.loads(_line(events, of, 2)))
            for number, (sink, of) in enumerate([("files", 1), ("more", 1), ("files", 2), ("files", 2), ("files", 15)])
        ]
        dead.commit(b"".join(letters), len(letters))
    node.read_all()
    (row,) = node.answer()["rows"]
    assert {name: row[name] for name in ("stored", "delivered", "pending", "dead")} == {
        "stored": 20,
        "delivered": 8,
        "pending": 10,
        "dead": 2,
    }, "event 15 is refused by one sink, and the other waits for it"
    node.end()


def test_counts_that_do_not_fit_together_say_so(tmp_path: Path) -> None:
    node = Node(tmp_path, _SINK)
    node.store(2, 10, is_counted=False)
    node.count(STORED.name, 2, 4)
    node.save()
    node.read_all()
    node.log.folder.ensure_cursor("files", Position(1, 148, 1))
    (row,) = node.answer()["rows"]
    assert (row["stored"], row["pending"], row["delivered"]) == (4, 10, None)
    node.end()


def test_requests_for_a_property_that_does_not_exist_have_rows_of_their_own(node: Node) -> None:
    ring = _ring(node.block)
    for number in range(3):
        ring("not_found", "77/1")
        ring("forbidden", "1/2")
        node.block.add(1, UNKNOWN.name)
        node.save()
        if number == 1:
            node.books.close()
            node.restart_admin()
    (row,) = node.answer()["unknown"]
    assert (row["property"], row["requests"]) == ("77/1", 3)
    for _ in range(100):
        ring("not_found", "77/2")
        node.block.add(1, UNKNOWN.name)
    node.save()
    found = {row["property"]: row["requests"] for row in node.answer()["unknown"]}
    assert found == {"77/1": 3, "77/2": 64, OTHERS: 36}


def test_the_names_that_clients_choose_are_bounded(node: Node) -> None:
    ring = _ring(node.block)
    for number in range(250):
        ring("not_found", f"9/{number}")
        node.books.save(node.clock.ms, [node.block.read()])
    rows = node.answer()["unknown"]
    assert len(rows) == 200
    assert (rows[0]["property"], rows[0]["requests"]) == (OTHERS, 50)


def _ring(block: CounterBlock) -> Any:
    ring = RefusalRing(block)

    def add(code: str, prop: str) -> None:
        ring._waiting.append((1_000_000, code, prop, b"/event", b""))
        ring._number += 1
        ring.publish()

    return add


def test_there_are_200_rows_a_page_the_largest_first_and_a_search_by_name(node: Node) -> None:
    for prop_id in range(1, PAGE_ROWS + 11):
        node.count(DUPLICATE.name, prop_id, prop_id)
    node.save()
    first = node.answer()
    assert [row["received"] for row in first["rows"]] == list(range(PAGE_ROWS + 10, 10, -1))
    assert (first["next"], first["properties"]) == ("200", 210)
    second = node.answer(after=200)
    assert [row["received"] for row in second["rows"]] == list(range(10, 0, -1))
    assert second["next"] is None
    assert [row["property"] for row in node.answer(text="/20")["rows"]] == [f"1/20{n}" for n in range(9, -1, -1)] + [
        "1/20"
    ]


def test_days_that_are_too_old_are_forgotten(node: Node) -> None:
    node.store(2, 10)
    node.save()
    node.clock.ms += 40 * DAY_MS
    node.save()
    assert node.answer(days=90)["rows"] == []


@pytest.mark.parametrize("damage", [b"something else" * 1000, None])
def test_a_file_that_is_no_sound_database_is_moved_aside(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "accounts.sqlite"
    store = AccountStore(str(path))
    store.begin(1)
    store.close()
    content = path.read_bytes()
    path.write_bytes(damage or content[:4096] + b"\xff" * 8192 + content[12288:])
    store = AccountStore(str(path))
    assert store.begin(1) == {}
    assert store.boots() == [(1, 1)]
    store.close()
    assert (tmp_path / "accounts.sqlite.damaged").exists()


def test_a_file_that_cant_be_opened_now_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        AccountStore(str(path))
    assert path.is_dir()


def test_where_the_folder_cant_be_used_the_books_are_in_memory(node: Node) -> None:
    books = open_books(str(node.folder / "absent/accounts.sqlite"), Logs(node.settings, ""), [node.block], 1)
    assert isinstance(books, AccountBooks)
    books.save(node.clock.ms, [node.block.read()])
    books.close()
    assert not os.path.exists(node.folder / "absent")


def test_damage_is_a_warning_with_the_command_to_run(node: Node) -> None:
    log = node.log.folder
    append(log, Damage(Kind.MISSING, Position(1, 0, 3), Position(2, 148, 6), "no such file"))
    name = log.log_id.decode()
    text = f"shard 00 lost events to damage: {name}-3 to 5"
    assert node.answer()["warnings"] == [
        {"property": "", "message": text, "command": "collector audit --config c.toml"}
    ]


@pytest.mark.parametrize(
    ("boots", "from_ms", "origin_ms", "since"),
    [
        ([(100_000, 900_000)], 0, None, 100_000),
        ([(100_000, 900_000)], 100_000, None, None),
        ([(100_000, 900_000)], 0, 99_000, None),
        ([(100_000, 900_000)], 0, 50_000, 100_000),
        ([(500_000, 900_000), (100_000, 490_000)], 0, None, 100_000),
        ([(500_000, 900_000), (100_000, 400_000)], 0, None, 500_000),
        ([], 7, None, None),
    ],
)
def test_what_was_refused_is_known_since_counters_were_saved_without_a_break(
    boots: list[tuple[int, int]], from_ms: int, origin_ms: int | None, since: int | None
) -> None:
    assert covered_since(boots, from_ms, origin_ms) == since


def test_the_files_of_the_database_are_not_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    mask = os.umask(0o022)
    try:
        db = open_tables(str(path))
    finally:
        os.umask(mask)
    with closing(db):
        db.execute("INSERT INTO rings VALUES (1, 2)")
        db.commit()
        found = {each.name: each.stat().st_mode & 0o7 for each in tmp_path.iterdir()}
    assert found == dict.fromkeys(("accounts.sqlite", "accounts.sqlite-wal", "accounts.sqlite-shm"), 0)
