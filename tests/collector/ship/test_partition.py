"""Files of a batch: names and bytes that follow from it alone, and values that never stop a sink."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from collector.ship.batch import Part
from collector.ship.formats import parquet
from collector.ship.formats.encoding import encoding
from collector.ship.partition import DeliveredFile, Group, file_named, grouped
from tests.collector.ship.batches import ELEVEN_MS, LOG_ID, batch, part, record
from tests.destinations.files import record_of, rows_in

FORMATS = ["ndjson", "parquet"]
PARTITION = "source={source}/date={date}/hour={hour}"
BATCH = batch(part(ELEVEN_MS - 1, 1, 300, ("web", "android", "pos")), part(ELEVEN_MS, 301, 302))
_PRINT_DIGESTS = """
import hashlib
from tests.collector.ship.test_partition import digests
print(digests())
"""
_ANOTHER_WRITER = {"compression": "snappy", "use_dictionary": False, "version": "1.0", "row_group_size": 7}


def _of(group: Group) -> list[bytes]:
    return [line for run in group.parts for line in run.payload.splitlines(keepends=True)]


def digests() -> list[tuple[str, str]]:
    """Names and digests of all files of a batch."""
    return [
        (group.name, hashlib.sha256(encoding(name).encode(LOG_ID, group.parts)).hexdigest())
        for name in FORMATS
        for group in grouped(BATCH, PARTITION)
    ]


def _row(line: bytes) -> dict[str, object]:
    (row,) = rows_in(parquet.ENCODING.encode(LOG_ID, [Part(ELEVEN_MS, 7, 7, line + b"\n")]))
    return {name: value for name, value in row.items() if value is not None}


@pytest.mark.parametrize("seed", ["1", "2"])
def test_every_process_makes_the_same_names_and_bytes(seed: str) -> None:
    command = [sys.executable, "-c", _PRINT_DIGESTS]
    environment = os.environ | {"PYTHONHASHSEED": seed}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == repr(digests())


def test_a_batch_is_split_by_source_date_and_hour_and_keeps_its_order() -> None:
    groups = grouped(BATCH, PARTITION)
    assert [group.name.rpartition("/")[0] for group in groups] == [
        "source=android/date=2024-05-01/hour=10",
        "source=pos/date=2024-05-01/hour=10",
        "source=web/date=2024-05-01/hour=10",
        "source=web/date=2024-05-01/hour=11",
    ]
    assert groups[0].name.endswith(f"/{LOG_ID}-0000000000000001-0000000000000298")
    assert _of(groups[0]) == [record(number, "android") for number in range(1, 301, 3)]
    assert sorted(line for group in groups for line in _of(group)) == sorted(BATCH.payload.splitlines(keepends=True))


def test_without_folders_a_batch_is_one_file() -> None:
    (group,) = grouped(BATCH, "")
    assert group.name == f"{LOG_ID}-0000000000000001-0000000000000302"
    assert group.parts == list(BATCH.parts)


def test_a_replay_is_named_in_the_file() -> None:
    (group,) = grouped(BATCH._replace(replay="again"), "all")
    assert group.name == f"all/{LOG_ID}-0000000000000001-0000000000000302.replay-again"


@pytest.mark.parametrize(
    "line", [b"nonsense", b"{}", b'{"source":7}', b'{"source":"../up"}', b'{"source":"\xff"}', b""]
)
def test_what_has_no_source_that_is_a_folder_goes_to_unknown(line: bytes) -> None:
    (group,) = grouped(batch(Part(ELEVEN_MS, 1, 1, line + b"\n")), "{source}")
    assert group.name.startswith("unknown/")
    assert _of(group) == [line + b"\n"]


def test_without_the_source_no_record_is_looked_at() -> None:
    split = Part(ELEVEN_MS, 1, 1, b"no line at all")
    assert grouped(batch(split), "date={date}")[0].parts == [split]


def test_the_columns_are_these_for_good() -> None:
    assert [f"{field.name} {field.type}" for field in parquet.SCHEMA] == [
        "id string",
        "log_id string",
        "sequence int64",
        "received_at timestamp[ms, tz=UTC]",
        "occurred_at timestamp[ms, tz=UTC]",
        "portal_id int64",
        "prop_id int64",
        "source string",
        "ip string",
        "user_agent string",
        "referer string",
        "s2s bool",
        "event_id string",
        "dialect string",
        "au_id string",
        "client_id string",
        "session_id string",
        "session_start timestamp[ms, tz=UTC]",
        "session_hits int64",
        "session_new bool",
        "warnings list<item: string>",
        "ea string",
        "ec string",
        "sid string",
        "aid string",
        "uid string",
        "et string",
        "sent_at string",
        "event string",
    ]


def test_a_row_holds_all_of_its_record() -> None:
    rows = rows_in(parquet.ENCODING.encode(LOG_ID, BATCH.parts))
    assert [row["sequence"] for row in rows] == list(range(1, 303))
    assert {row["log_id"] for row in rows} == {LOG_ID}
    assert [record_of(row) + b"\n" for row in rows] == BATCH.payload.splitlines(keepends=True)


def test_the_id_of_a_client_and_the_dialect_are_columns_and_null_without_them() -> None:
    lines = [record(7, ids=b'"event_id":"e-\xc4\x91","dialect":"segment",'), record(8)]
    rows = rows_in(parquet.ENCODING.encode(LOG_ID, [Part(ELEVEN_MS, 7, 8, b"".join(lines))]))
    assert [(row["event_id"], row["dialect"]) for row in rows] == [("e-đ", "segment"), (None, None)]
    assert [record_of(row) + b"\n" for row in rows] == lines


@pytest.mark.parametrize(
    ("event", "columns"),
    [
        (
            b'{"et":"2024-05-01 10:59:00","sent_at":1714561199000}',
            {"et": "2024-05-01 10:59:00", "sent_at": "1714561199000"},
        ),
        (b'{"et": -1.50 ,"sent_at":1e400}', {"et": "-1.50", "sent_at": "1e400"}),
        (b'{"et":"a\\u00e9\\"","sent_at":%b}' % (b"9" * 5000), {"et": 'aé"', "sent_at": "9" * 5000}),
        (b'{"et":null,"sent_at":[1]}', {}),
        (b'{"et":true,"sent_at":{"a":1}}', {}),
        (b'{"et":"\xff","sent_at":""}', {"sent_at": ""}),
    ],
)
def test_the_times_of_a_client_are_text_as_sent_if_they_are_text_or_a_number(
    event: bytes, columns: dict[str, str]
) -> None:
    row = _row(record(7, event=event).rstrip())
    assert {name: row[name] for name in ("et", "sent_at") if name in row} == columns
    assert row["event"] == event.decode(errors="replace")


@pytest.mark.parametrize(
    ("unix_ms", "text"),
    [
        (-62_135_596_800_000, "0001-01-01 00:00:00"),
        (253_402_300_799_999, "9999-12-31 23:59:59.999"),
        (-62_135_596_800_001, None),
        (253_402_300_800_000, None),
        (2**63 - 1, None),
        (2**70, None),
    ],
)
def test_a_time_that_readers_of_parquet_fail_on_is_null(unix_ms: int, text: str | None, tmp_path: Path) -> None:
    line = record(7).replace(b'"occurred_at":%d' % (ELEVEN_MS + 7 - 90_000), b'"occurred_at":%d' % unix_ms)
    (tmp_path / "events.parquet").write_bytes(parquet.ENCODING.encode(LOG_ID, [Part(ELEVEN_MS, 7, 7, line)]))
    query = "SELECT occurred_at::TIMESTAMP::VARCHAR, source FROM read_parquet(?)"
    assert duckdb.execute(query, [f"{tmp_path}/events.parquet"]).fetchall() == [(text, "web")]


@pytest.mark.parametrize(
    ("event", "columns"),
    [
        (b"{}", {}),
        (b'{"sid":"0012","aid":"a","uid":12}', {"sid": "0012", "aid": "a", "uid": "12"}),
        (b'{"aid":%b}' % (b"9" * 255), {"aid": "9" * 255}),
        (b'{"uid":-1,"ea":"\\ud83d\\ude00"}', {"uid": "-1", "ea": "\N{GRINNING FACE}"}),
        (b'{"ea":1,"ec":["x"],"uid":"u"}', {"uid": "u"}),
        (b'{"sid":1.5,"aid":true,"uid":null,"ec":"c"}', {"ec": "c"}),
        (b"[1]", {}),
        (b'{"ea":"a","EA":"b","Ec":1}', {"ea": "a"}),
        (b'{"ea":"a","ea":"b"}', {"ea": "b"}),
        (b'{"ea":1,"ea":"b","uid":"u","uid":[]}', {"ea": "b"}),
        (b'{"ea":"a","":1,"":2,"event":3,"id":4}', {"ea": "a"}),
    ],
)
def test_a_value_that_does_not_fit_is_null_and_in_the_event(event: bytes, columns: dict[str, str]) -> None:
    row = _row(record(7, event=event).rstrip())
    assert {name: row[name] for name in ("ea", "ec", "sid", "aid", "uid") if name in row} == columns
    assert (row["id"], row["event"]) == (f"{LOG_ID}-7", event.decode())


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[1]",
        b"{}",
        b'{"n":1}',
        b'{"event":{"x":"\\ud800"}}',
        b"[" * 100_000,
        b'{"event":' + b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_record_is_a_row_with_the_line_as_its_event(line: bytes) -> None:
    assert _row(line) == {"id": f"{LOG_ID}-7", "log_id": LOG_ID, "sequence": 7, "event": line.decode()}


def test_numbers_that_fit_no_column_are_null() -> None:
    line = record(7).replace(b'"portal_id":33167', b'"portal_id":9223372036854775808').replace(b"1714561200,", b"1e99,")
    row = _row(line.rstrip())
    assert {"portal_id", "session_start"} & set(row) == set()
    assert row["source"] == "web"


def test_bytes_that_are_no_text_are_kept_as_far_as_text_goes() -> None:
    assert _row(record(7, event=b'{"x":"\xff"}').rstrip())["event"] == '{"x":"\N{REPLACEMENT CHARACTER}"}'


@pytest.mark.parametrize("name", FORMATS)
def test_files_are_the_same_if_they_hold_the_same_events(name: str) -> None:
    kind = encoding(name)
    ours = kind.encode(LOG_ID, BATCH.parts)
    fewer = kind.encode(LOG_ID, BATCH.parts[:1])
    assert kind.is_same(ours, ours)
    assert not kind.is_same(fewer, ours)
    assert not kind.is_same(b"", ours)
    assert not kind.is_same(ours[:-9], ours)


def test_another_compression_holds_the_same_events() -> None:
    ours = encoding("ndjson").encode(LOG_ID, BATCH.parts)
    assert encoding("ndjson").is_same(zstandard.ZstdCompressor(level=9).compress(BATCH.payload), ours)


def test_another_version_of_parquet_holds_the_same_events() -> None:
    ours = parquet.ENCODING.encode(LOG_ID, BATCH.parts)
    file = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows_in(ours), schema=parquet.SCHEMA), file, **_ANOTHER_WRITER)
    assert file.getvalue().to_pybytes() != ours
    assert parquet.ENCODING.is_same(file.getvalue().to_pybytes(), ours)


@pytest.mark.parametrize("replay", ["", "again-0a1b2c3d", "v1.ndjson"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_known_by_its_name(name: str, replay: str) -> None:
    group = grouped(BATCH._replace(replay=replay), PARTITION)[0]
    whole = group.name + encoding(name).suffix
    expected = DeliveredFile(LOG_ID, group.parts[0].first, group.parts[-1].last, replay, name, whole)
    assert file_named(whole) == expected


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        f"{LOG_ID}-0000000000000001-0000000000000005.ndjson",
        f"{LOG_ID}-0000000000000001-0000000000000005.parquet.zst",
        f"{LOG_ID}-0000000000000005-0000000000000001.ndjson.zst",
        f"{LOG_ID}-0000000000000001-9999999999999999.ndjson.zst",
    ],
)
def test_a_name_that_no_batch_has_is_known_as_such(name: str) -> None:
    assert file_named(name) is None


@pytest.mark.parametrize("name", FORMATS)
def test_the_events_of_a_file_are_known_by_sequence_and_those_of_another_log_are_not(name: str) -> None:
    used = encoding(name)
    for group in grouped(BATCH, PARTITION):
        content = used.encode(LOG_ID, group.parts)
        sequences = [sequence for run in group.parts for sequence in range(run.first, run.last + 1)]
        assert tuple(map(list, used.events(LOG_ID, content))) == (sequences, [])
        if name == "ndjson":  # there an event of another log may be a relayed one
            relayed = [f"{LOG_ID}-{sequence}" for sequence in sequences]
            assert tuple(map(list, used.events("f" * 16, content))) == ([], relayed)
        else:
            with pytest.raises(ValueError, match="another log"):
                used.events("f" * 16, content)
        with pytest.raises(ValueError, match="not whole"):
            used.events(LOG_ID, content[:-1])


def test_a_file_that_says_to_be_huge_is_not_inflated() -> None:
    compressor = zstandard.ZstdCompressor().compressobj(size=1 << 40)
    with pytest.raises(ValueError, match="more than"):
        encoding("ndjson").events(
            LOG_ID, compressor.compress(b"{") + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        )
