"""`collector audit`: the accounts balance, and whatever somebody does to log or files is named to the event."""

import io
import json
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard

from collector.cli import audit as command
from collector.cli import main
from tests.collector.ops.audited import BucketStore, FilesStore, Node, differences, totals
from tests.destinations.objects import Bucket, Moto
from tests.wal.faulty_files import NotPermitted
from tests.wal.logs import damage
from wal.cursor import Cursor
from wal.damage import read_ledger
from wal.format import HEADER_BYTES
from wal.log import Log
from wal.sealed import drop_segments

Audited = pytest.CaptureFixture[str]
_EVENTS = 300
"""Four batches of 32 KiB."""


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    with closing(Moto(tmp_path_factory.mktemp("moto"))) as server:
        yield server


@pytest.fixture(params=["ndjson files", "parquet files", "objects"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Node:
    """A node that has shipped one shard."""
    if request.param == "objects":
        node = Node(tmp_path, BucketStore(request.getfixturevalue("moto")), "objects")
    else:
        node = Node(tmp_path, FilesStore(tmp_path, request.param.partition(" ")[0]), "file")
    _ship_in_files(node)
    return node


@pytest.fixture
def files(tmp_path: Path) -> Node:
    """A node with a file sink, that has shipped one shard."""
    node = Node(tmp_path, FilesStore(tmp_path), "file")
    _ship_in_files(node)
    return node


def _ship_in_files(node: Node) -> None:
    node.fill(_EVENTS)
    node.ship()
    assert len(node.files()) > 2


def _range_of(name: str) -> list[int]:
    found = re.search(r"-(\d{16})-(\d{16})\.", name)
    assert found
    return [int(found[1]), int(found[2])]


def _without(content: bytes, name: str, at: int) -> bytes:
    """A file without the event of this index."""
    if name.endswith(".parquet"):
        table = pq.read_table(io.BytesIO(content))
        rest = io.BytesIO()
        pq.write_table(table.take([row for row in range(table.num_rows) if row != at]), rest)
        return rest.getvalue()
    lines = zstandard.decompress(content).splitlines(keepends=True)
    return zstandard.compress(b"".join(lines[:at] + lines[at + 1 :]))


def test_two_shards_balance_by_property(node: Node, capsys: Audited) -> None:
    node.fill(40, "01")
    node.ship("01")
    report = node.audit(capsys)
    assert report["is_balanced"]
    assert [(each["portal_id"], each["prop_id"], each["sink"]) for each in report["accounts"]] == (
        [(33167, 1, node.sink), (33167, 2, node.sink)]
    )
    for account in report["accounts"]:
        assert account["stored"] == account["delivered"] == (_EVENTS + 40) // 2
    assert [(log["log_id"], log["first"], log["last"]) for log in report["logs"]] == (
        [(node.log_id("00"), 1, _EVENTS), (node.log_id("01"), 1, 40)]
    )
    assert [(each["proof"], each["files"]) for each in report["sinks"]] == (
        [("contents", len(node.files("00") + node.files("01")))]
    )


def test_a_deleted_file_is_missing(node: Node, capsys: Audited) -> None:
    gone = node.files()[1]
    node.store.delete(gone)
    report = node.audit(capsys, code=1)
    first, last = _range_of(gone)
    assert differences(report) == [("missing", node.log_id(), [[first, last]], [])]
    assert totals(report) == {
        "stored": _EVENTS,
        "delivered": _EVENTS - (last - first + 1),
        "missing": last - first + 1,
    }


def test_a_copy_of_a_file_is_there_twice(node: Node, capsys: Audited) -> None:
    name = node.files()[0]
    copy = f"date=2020-01-01/hour=00/{name.rpartition('/')[2]}"
    node.store.put(copy, node.content(name))
    report = node.audit(capsys, code=1)
    ((kind, log_id, ranges, places),) = differences(report)
    assert (kind, log_id, ranges) == ("twice", node.log_id(), [_range_of(name)])
    assert sorted(places) == sorted([name, copy])
    assert totals(report)["delivered"] == _EVENTS


def test_a_truncated_file_is_a_problem_and_its_events_are_missing(node: Node, capsys: Audited) -> None:
    name = node.files()[1]
    content = node.content(name)
    node.store.put(name, content[: len(content) // 2])
    report = node.audit(capsys, code=1)
    assert differences(report) == [("missing", node.log_id(), [_range_of(name)], [name])]
    (problem,) = report["problems"]
    assert f"/{name}: it is not whole" in problem


def test_a_file_that_holds_more_than_its_name_says_is_a_problem(node: Node, capsys: Audited) -> None:
    name, other = node.files()[:2]
    node.store.put(other, node.content(name))
    report = node.audit(capsys, code=1)
    assert differences(report) == [("missing", node.log_id(), [_range_of(other)], [other])]
    assert report["problems"][0].endswith(f"/{other}: it holds events that its name does not say")


def test_an_event_that_was_taken_out_of_a_file_is_named_with_the_file(node: Node, capsys: Audited) -> None:
    name = node.files()[1]
    node.store.put(name, _without(node.content(name), name, 3))
    sequence = _range_of(name)[0] + 3
    assert differences(node.audit(capsys, code=1)) == [("missing", node.log_id(), [[sequence, sequence]], [name])]


def test_a_cursor_that_was_moved_forward_misses_what_it_passed(node: Node, capsys: Audited) -> None:
    node.fill(20)
    end = Log(node.log().path)
    node.log().save_cursor(node.sink, Cursor(end.end._replace(sequence=_EVENTS + 16)))
    end.close()
    report = node.audit(capsys, code=1)
    assert differences(report) == [("missing", node.log_id(), [[_EVENTS + 1, _EVENTS + 15]], [])]
    assert totals(report) == {"stored": _EVENTS + 20, "delivered": _EVENTS, "missing": 15, "pending": 5}


def test_events_that_were_not_shipped_yet_are_pending(node: Node, capsys: Audited) -> None:
    node.fill(17)
    report = node.audit(capsys)
    assert totals(report) == {"stored": _EVENTS + 17, "delivered": _EVENTS, "pending": 17}


def test_a_replay_counts_apart(node: Node, capsys: Audited) -> None:
    config = ["--config", str(node.folder / "collector.toml")]
    assert main(["replay", *config, "--sink", node.sink, "--from", "1h", "--name", "again"]) == 0
    report = node.audit(capsys)
    assert totals(report) == {"stored": _EVENTS, "delivered": _EVENTS}
    assert report["sinks"][0]["replayed_files"] > 0


def test_interleaved_sources_are_read_file_by_file(tmp_path: Path, moto: Moto, capsys: Audited) -> None:
    node = Node(tmp_path, Bucket(moto), "objects")
    _ship_in_files(node)
    assert node.audit(capsys)["is_balanced"]
    gone = next(name for name in node.files() if name.startswith("source=pos/"))
    first, last = _range_of(gone)
    node.store.delete(gone)
    found = differences(node.audit(capsys, code=1))
    assert {kind for kind, *_ in found} == {"missing"}
    ranges = [each for _, _, ranges, _ in found for each in ranges]
    assert sorted(ranges) == [[sequence, sequence] for sequence in range(first, last + 1, 2)]


@pytest.mark.parametrize("kind", ["ndjson files", "objects by source"])
def test_relayed_events_keep_their_ids_and_balance(tmp_path: Path, moto: Moto, capsys: Audited, kind: str) -> None:
    by_source = kind == "objects by source"
    node = Node(tmp_path, Bucket(moto) if by_source else FilesStore(tmp_path), "objects" if by_source else "file")
    node.fill(20)
    node.relay(30)
    node.fill(20)
    node.ship()
    report = node.audit(capsys)
    assert totals(report) == {"stored": 70, "delivered": 70}
    assert {(each["prop_id"], each["delivered"]) for each in report["accounts"]} == {(1, 35), (2, 35)}
    name = node.files()[0]
    lines = zstandard.decompress(node.content(name)).splitlines(keepends=True)
    at = next(at for at, line in enumerate(lines) if b'"00000000000000aa-' in line)
    node.store.put(name, _without(node.content(name), name, at))
    ((kind, _, ranges, places),) = differences(node.audit(capsys, code=1))
    assert (kind, sum(last - first + 1 for first, last in ranges), name in places) == ("missing", 1, True)


def test_folders_of_a_store_may_be_links_and_have_several_names(files: Node, capsys: Audited) -> None:
    hour = next((files.folder / "events").glob("date=*/hour=*"))
    hour.rename(files.folder / "another disk")
    hour.symlink_to(files.folder / "another disk")
    (files.folder / "events/latest").symlink_to(hour)
    (files.folder / "events/loop").symlink_to(files.folder / "events")
    assert totals(files.audit(capsys)) == {"stored": _EVENTS, "delivered": _EVENTS}


def test_names_that_are_not_utf_8_are_escaped(files: Node, capsys: Audited) -> None:
    name = files.files()[0]
    files.store.put(f"\udcff/{name}", files.content(name))
    ((kind, _, _, places),) = differences(files.audit(capsys, code=1))
    assert (kind, sorted(places)) == ("twice", [name, f"\udcff/{name}"])
    assert "\\udcff/" in files.printed(capsys, code=1)


def test_damage_in_the_ledger_balances_and_is_of_no_property(files: Node, capsys: Audited) -> None:
    files.fill(30)
    path = max(Path(files.log().path).glob("seg-*"))
    whole = bytearray(path.read_bytes())
    whole[whole.index(b'-%d"' % (_EVENTS + 11))] ^= 1
    path.write_bytes(whole)
    report = files.audit(capsys, code=1)
    (problem,) = report["problems"]
    assert "damage.ndjson does not have it yet" in problem
    files.ship()
    assert read_ledger(files.log()).entries
    report = files.audit(capsys)
    assert totals(report) == {"stored": _EVENTS + 30, "delivered": _EVENTS + 20, "damaged": 10}
    assert [each["damaged"] for each in report["accounts"] if each["prop_id"] is None] == [10]


def test_an_event_that_was_delivered_before_it_was_damaged_is_delivered(files: Node, capsys: Audited) -> None:
    path = min(Path(files.log().path).glob("seg-*"))
    whole = bytearray(path.read_bytes())
    whole[whole.index(b'-15"')] ^= 1
    path.write_bytes(whole)
    Log(files.log().path).close()
    files.ship()
    report = files.audit(capsys, code=1)
    assert totals(report) == {"stored": _EVENTS, "delivered": _EVENTS}
    assert differences(report) == []


def test_an_event_in_the_dead_letters_of_its_sink_balances(files: Node, capsys: Audited) -> None:
    name = files.files()[0]
    line = zstandard.decompress(files.content(name)).splitlines()[4]
    files.store.put(name, _without(files.content(name), name, 4))
    files.refuse(line, "another")
    assert differences(files.audit(capsys, code=1)) == [("missing", files.log_id(), [[5, 5]], [name])]
    files.refuse(line)
    assert totals(files.audit(capsys)) == {"stored": _EVENTS, "delivered": _EVENTS - 1, "dead_lettered": 1}


def test_an_event_that_is_both_delivered_and_a_dead_letter_is_there_twice(files: Node, capsys: Audited) -> None:
    name = files.files()[0]
    files.refuse(zstandard.decompress(files.content(name)).splitlines()[4])
    report = files.audit(capsys, code=1)
    assert differences(report) == [("twice", files.log_id(), [[5, 5]], [name, "dead letters"])]


def _age(node: Node) -> int:
    """Fill and ship a log of small segments, and drop all but the newest; returns its first event."""
    for _ in range(4):
        node.fill(100, "05", segment_bytes=1 << 16)
        node.ship("05")
    assert drop_segments(node.log("05"), expected=(), keep_ms=0, keep_bytes=0)
    oldest = node.log("05").oldest()
    assert oldest
    assert oldest.sequence > 300
    return oldest.sequence


def _last_before(node: Node, sequence: int) -> list[str]:
    return [name for name in node.files("05") if _range_of(name)[1] < sequence]


def test_files_older_than_the_log_are_compared_by_their_names(files: Node, capsys: Audited) -> None:
    first = _age(files)
    report = files.audit(capsys)
    assert [log["first"] for log in report["logs"]] == [1, first]
    name = _last_before(files, first)[1]
    files.store.put(name, _without(files.content(name), name, 0))
    assert files.audit(capsys)["is_balanced"], "no name tells that"
    start, end = _range_of(name)
    deep = files.audit(capsys, "--deep", code=1)
    assert differences(deep) == [("missing", files.log_id("05"), [[start, start]], [name])]
    files.store.delete(name)
    assert differences(files.audit(capsys, code=1)) == [("missing", files.log_id("05"), [[start, end]], [])]


def test_names_that_overlap_in_a_folder_are_there_twice(files: Node, capsys: Audited) -> None:
    first = _age(files)
    name = _last_before(files, first)[1]
    start, end = _range_of(name)
    other = name.replace(f"{end:016d}", f"{end - 1:016d}")
    files.store.put(other, b"whatever")
    ((kind, _, ranges, places),) = differences(files.audit(capsys, code=1))
    assert (kind, ranges, sorted(places)) == ("twice", [[start, end - 1]], sorted([name, other]))


def test_files_that_an_operator_deleted_are_missing_unless_since_leaves_them_out(files: Node, capsys: Audited) -> None:
    files.store.delete(files.files()[0])
    assert files.audit(capsys, code=1)
    files.fill(10, clock=lambda: 9_000_000_000_000)
    files.ship()
    report = files.audit(capsys, "--since", "8900000000000")
    assert totals(report) == {"stored": 10, "delivered": 10}
    assert totals(files.audit(capsys, "--until", "8900000000000", code=1))["stored"] == _EVENTS


def test_events_after_the_end_of_a_restored_log_are_unknown(files: Node, capsys: Audited) -> None:
    path = max(Path(files.log().path).glob("seg-*"))
    before = path.read_bytes()
    files.fill(10)
    files.ship()
    for later in Path(files.log().path).glob("seg-*"):
        if later.name > path.name:
            later.unlink()
    path.write_bytes(before)
    name = files.files()[-1]
    assert differences(files.audit(capsys, code=1)) == (
        [("unknown", files.log_id(), [[_EVENTS + 1, _EVENTS + 10]], [name])]
    )


def test_events_that_the_log_lost_before_they_were_delivered_are_gone(files: Node, capsys: Audited) -> None:
    path = Path(files.log().path)
    files.fill(30, segment_bytes=1 << 12)
    lost = sorted(path.glob("seg-*"))[-2]
    first, after = (int(each.name[15:31]) for each in sorted(path.glob("seg-*"))[-2:])
    lost.unlink()
    report = files.audit(capsys, code=1)
    assert differences(report) == [("gone", files.log_id(), [[first, after - 1]], [])]
    assert "restore it" in report["problems"][0]


def test_a_sink_that_starts_at_the_newest_event_owes_none_before(files: Node, capsys: Audited) -> None:
    newest = f'[[sink]]\ntype = "file"\nname = "late"\ndir = "{files.folder}/late"\nstart = "newest"\n'
    files.write_settings(files.store.toml() + newest)
    files.ship()
    files.fill(20)
    files.ship()
    report = files.audit(capsys, "--sink", "late")
    assert totals(report) == {"stored": _EVENTS + 20, "delivered": 20, "not_due": _EVENTS}
    assert [each["name"] for each in report["sinks"]] == ["late"]


def test_of_a_sink_that_cannot_be_read_the_cursor_counts_and_it_says_so(files: Node, capsys: Audited) -> None:
    files.write_settings('[[sink]]\ntype = "http"\nurl = "http://127.0.0.1:9/"\n')
    log = Log(files.log().path)
    files.log().save_cursor("http", Cursor(log.end._replace(sequence=101)))
    log.close()
    report = files.audit(capsys)
    assert totals(report) == {"stored": _EVENTS, "delivered": 100, "pending": _EVENTS - 100}
    assert report["sinks"][0]["proof"] == "cursor"
    assert "its cursor alone" in files.printed(capsys)


def test_a_damaged_cursor_is_a_problem(files: Node, capsys: Audited) -> None:
    Path(files.log().cursor_file("file")).write_bytes(b"{}\n")
    report = files.audit(capsys, code=1)
    assert "sink file: its cursor can't be read" in report["problems"][0]
    assert totals(report) == {"stored": _EVENTS, "delivered": _EVENTS}


def test_a_copy_of_a_log_is_a_problem(files: Node, capsys: Audited) -> None:
    shutil.copytree(files.log().path, f"{files.log().path}.bak")
    report = files.audit(capsys, code=1)
    copied = f"{files.log().path} has the same id as {files.log().path}.bak: one of the two is a copy"
    assert copied in "\n".join(report["problems"])


def test_damage_in_the_ledger_of_redrives_is_a_problem(files: Node, capsys: Audited) -> None:
    ledger = files.folder / "data/log/redrive/ledger"
    for path in (ledger.parent, ledger):
        with closing(Log(str(path))) as log:
            if path == ledger:
                log.commit(b'{"log_id":"","sequence":1,"letters":[]}\n', 1)
    assert files.audit(capsys)["problems"] == []
    damage(next(ledger.glob("seg-*")), 2 * HEADER_BYTES + 2)
    report = files.audit(capsys, code=1)
    (problem,) = report["problems"]
    assert problem.startswith(f"corrupt: {ledger}: segment 1 ")


def test_a_folder_that_may_not_be_listed_is_a_problem(
    files: Node, capsys: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlisted = files.folder / "data/log/01"
    unlisted.mkdir()
    monkeypatch.setattr("collector.ops.audit.audit.Files", lambda: NotPermitted(str(unlisted)))
    (problem,) = files.audit(capsys, code=1)["problems"]
    assert problem.startswith(f"{unlisted}: this user may not list it")


def test_a_store_that_is_away_is_a_problem(tmp_path: Path, moto: Moto, capsys: Audited) -> None:
    node = Node(tmp_path, BucketStore(moto), "objects")
    node.fill(10)
    node.write_settings(BucketStore(moto, port=9).toml())
    report = node.audit(capsys, code=1)
    assert any("sink objects: its files can't be listed" in problem for problem in report["problems"])
    assert report["sinks"][0]["proof"] == "cursor"


def test_a_table_for_people_names_what_differs_and_escapes_what_it_shows(files: Node, capsys: Audited) -> None:
    files.store.put("\x1b[31m.txt", b"")
    files.store.delete(files.files()[1])
    text = files.printed(capsys, code=1)
    assert re.search(r"^33167/1\tfile\t150\t\d+\t0\t0\t0\t\d+\t0$", text, re.MULTILINE)
    assert re.search(rf"^missing: sink file, log {files.log_id()}, \d+ events: \d+-\d+: ", text, re.MULTILINE)
    assert "\\u001b[31m.txt" in text
    assert "\x1b" not in text
    assert text.endswith("\nNOT balanced\n")


def test_rejected_events_are_shown_by_property_and_code(files: Node, capsys: Audited) -> None:
    dead = Log(str(files.folder / "data/dead/00"))
    letter = {"id": "x-1", "received_at": 1_714_564_800_000, "portal_id": 7, "prop_id": 8, "reason": "no ea"}
    letter |= {"errors": [], "form": "json", "encoding": "json", "raw": {}, "code": "invalid_event"}
    dead.commit(json.dumps(letter).encode() + b"\n", 1)
    dead.close()
    report = files.audit(capsys)
    assert report["rejected"] == [{"portal_id": 7, "prop_id": 8, "code": "invalid_event", "events": 1}]
    assert re.search(r"^7/8\tinvalid_event\t1$", files.printed(capsys), re.MULTILINE)


def test_a_call_that_can_prove_nothing_ends_with_2(files: Node, capsys: Audited) -> None:
    files.printed(capsys, "--sink", "nowhere", code=2)
    (files.folder / "collector.toml").write_text("[log]\nsegment_bytes = true\n")
    files.printed(capsys, code=2)
    assert main(["audit", "--config", str(files.folder / "none.toml")]) == 2


def test_a_log_whose_identity_is_damaged_ends_with_2(files: Node, capsys: Audited) -> None:
    Path(files.log().path, "log.json").write_text("damaged")
    files.printed(capsys, code=2)


def test_ctrl_c_ends_it_with_130(files: Node, capsys: Audited, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def progress() -> Iterator[Callable[[str], None]]:
        yield lambda _: signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(command, "progress", progress)
    assert files.printed(capsys, code=130) == ""
