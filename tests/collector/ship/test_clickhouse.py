"""docs/guides/clickhouse.md, run: its tables and its sink against ClickHouse's engine."""

import asyncio
import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from collector.errors import BatchRefused, SinkError
from collector.ship.batch import Batch, Part
from collector.ship.sinks.http.settings import HttpSinkSettings
from collector.ship.sinks.http.sink import HttpSink
from tests.destinations.child import Child
from tests.destinations.clickhouse import (
    CHECK,
    ONCE,
    ONCE_COPY,
    ONCE_MARKS,
    ONCE_QUERY,
    PAGE,
    PASSWORD,
    REPLICATED,
    SINK,
    TABLES,
    ClickHouse,
    ClickHouseLines,
    engine,
)

LOG_ID = "0123456789abcdef"
MIDNIGHT_MS = 1_717_200_000_000
"""2024-06-01 00:00:00 UTC, so the end of a month too."""
EVENT = (
    b'{"ea":"view", "ec":"product","sid":6320,"aid":38400000,"uid":"u-8812",'
    b'"items":[{"id":"1"},{"id":"2"}],"extra":{"k":"\\u00e9"}}'
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with engine(tmp_path_factory.mktemp("clickhouse")) as started:
        yield started


@pytest.fixture
def clickhouse(server: Child) -> Iterator[ClickHouse]:
    destination = ClickHouse(server)
    yield destination
    destination.close()


def _line(sequence: int, event: bytes = EVENT, received_ms: int = MIDNIGHT_MS, ids: bytes = b"") -> bytes:
    event_id, has_dialect, dialect = ids.partition(b'"dialect"')
    return (
        b'{"id":"%b-%d","received_at":%d,"portal_id":33167,"prop_id":2,"source":"web",%b"ip":null,'
        b'"user_agent":"A \\"b\\" \xc3\xa9","referer":null,"s2s":false,"occurred_at":1717199000001,%b'
        b'"au_id":"9223372036854775808","client_id":"9223372036854775808.1717200000",'
        b'"session":{"id":"6320","start":1717200000,"hits":1,"new":true},"warnings":["uid: twice"],"event":%b}\n'
    ) % (LOG_ID.encode(), sequence, received_ms, has_dialect + dialect, event_id, event)


def _batch(*lines: bytes, first: int = 1, token: str = "") -> Batch:
    part = Part(MIDNIGHT_MS, first, first + len(lines) - 1, b"".join(lines))
    return Batch(LOG_ID, token or f"{LOG_ID}:1:{first}-1:{part.last}:0a1b2c3d", (part,))


def _lines(first: int, last: int) -> list[bytes]:
    return [_line(sequence) for sequence in range(first, last + 1)]


def _settings(clickhouse: ClickHouse, without: str = "", **changes: Any) -> HttpSinkSettings:
    """The sink of the page; `without` is a parameter that its URL lacks."""
    table = tomllib.loads(clickhouse.toml())["sink"][0]
    if without:
        table["url"] = re.sub(rf"&{without}=[^&]*", "", table["url"])
    return msgspec.convert(table | changes, HttpSinkSettings)


def _deliver(clickhouse: ClickHouse, *batches: Batch, **changes: Any) -> int:
    """Deliver to the sink of the page, and return where it would have gone on."""

    async def deliver() -> int:
        settings = _settings(clickhouse, **changes)
        sink = HttpSink(settings, settings.name)
        try:
            found = await sink.open(LOG_ID, 1)
            for batch in batches:
                await sink.deliver(batch)
        finally:
            await sink.close()
        return found.next

    return asyncio.run(deliver())


def _number(clickhouse: ClickHouse, query: str) -> int:
    return int(clickhouse.query(query))


def _blocks(clickhouse: ClickHouse, table: str = "events") -> int:
    """How many blocks of the table were inserted: none is merged in the moment of a test."""
    query = f"SELECT max(max_block_number) FROM system.parts WHERE database = 'tracklog' AND table = '{table}'"
    return _number(clickhouse, query)


def _checked(clickhouse: ClickHouse) -> list[list[Any]]:
    rows = clickhouse.query(CHECK + " FORMAT JSONCompactEachRow").splitlines()
    return [json.loads(row) for row in rows]


def test_the_page_has_the_tables_the_sink_the_replicated_lines_and_the_check() -> None:
    assert PAGE.count("```") == 16
    settings = msgspec.convert(tomllib.loads(SINK)["sink"][0], HttpSinkSettings)
    assert settings.final_statuses == HttpSinkSettings(url="http://h").final_statuses
    assert settings.url.startswith("http://clickhouse:8123/?database=tracklog&query=INSERT INTO events")


def test_records_arrive_byte_for_byte(clickhouse: ClickHouse) -> None:
    odd = [
        b"{}",
        b'{"ea" : "a\\u0000b\\ud83d","n":1e400,"deep":[[[{"\\\\":"\\""}]]]}',
        '{"ea":"é\t"}'.replace("\t", "\\t").encode(),
    ]
    ids = [b"", b'"event_id":"e-\xc4\x91",', b'"dialect":"segment",', b'"event_id":"e","dialect":"matomo",']
    batch = _batch(*(_line(at, event, ids=ids[at - 1]) for at, event in enumerate([EVENT, *odd], 1)))
    _deliver(clickhouse, batch)
    assert clickhouse.arrived() == [event.line for event in batch.events()]


def test_the_same_token_twice_inserts_once(clickhouse: ClickHouse) -> None:
    batch = _batch(*_lines(1, 3))
    _deliver(clickhouse, batch, batch)
    _deliver(clickhouse, batch)
    assert clickhouse.arrived() == [event.line for event in batch.events()]
    assert _number(clickhouse, "SELECT count() FROM tracklog.events_flat") == 3
    assert _checked(clickhouse) == [[LOG_ID, 3, 0, 0]]


def test_a_batch_that_comes_again_while_its_first_insert_runs_counts_once(clickhouse: ClickHouse) -> None:
    """As after a time-out, of which the server knows nothing."""
    settings = _settings(clickhouse)

    async def deliver() -> None:
        sinks = [HttpSink(settings, settings.name) for _ in range(4)]
        try:
            await asyncio.gather(*(sink.open(LOG_ID, 1) for sink in sinks))
            await asyncio.gather(*(sink.deliver(MANY) for sink in sinks))
        finally:
            await asyncio.gather(*(sink.close() for sink in sinks))

    asyncio.run(deliver())
    assert _checked(clickhouse) == [[LOG_ID, 15_000, 0, 0]]
    assert _number(clickhouse, "SELECT count() FROM tracklog.events_flat") == 15_000


def test_the_token_counts_and_not_the_content(clickhouse: ClickHouse) -> None:
    _deliver(clickhouse, _batch(_line(1), token="a"), _batch(_line(2), token="a"), _batch(_line(1), token="b"))
    assert [json.loads(line)["id"] for line in clickhouse.arrived()] == [f"{LOG_ID}-1"] * 2
    assert _checked(clickhouse) == [[LOG_ID, 1, 0, 1]]


def test_without_the_window_of_the_page_the_same_token_inserts_twice(clickhouse: ClickHouse) -> None:
    clickhouse.query("ALTER TABLE tracklog.events MODIFY SETTING non_replicated_deduplication_window = 0")
    batch = _batch(*_lines(1, 3))
    _deliver(clickhouse, batch, batch)
    assert len(clickhouse.arrived()) == 6


def test_a_token_outlives_the_death_of_the_server(clickhouse: ClickHouse) -> None:
    batch, more = _batch(*_lines(1, 3)), _batch(*_lines(4, 5), first=4)
    _deliver(clickhouse, batch)
    clickhouse.down()
    with pytest.raises(SinkError, match="can't connect"):
        _deliver(clickhouse, more)
    clickhouse.up()
    _deliver(clickhouse, batch, more)
    assert _checked(clickhouse) == [[LOG_ID, 5, 0, 0]]
    assert _number(clickhouse, "SELECT count() FROM tracklog.events_flat") == 5


def test_a_batch_that_spans_midnight_is_one_block_in_the_table_and_in_the_view(clickhouse: ClickHouse) -> None:
    batch = _batch(*(_line(at, received_ms=MIDNIGHT_MS - 3 + at) for at in range(1, 6)))
    _deliver(clickhouse, batch, batch)
    assert (_blocks(clickhouse), _blocks(clickhouse, "events_flat")) == (1, 1)
    months = clickhouse.query("SELECT toYYYYMM(received_at), count() FROM tracklog.events_flat GROUP BY 1 ORDER BY 1")
    assert months == b"202405\t2\n202406\t3\n"


PADDED = EVENT.replace(b"view", b"x" * 1000)
MANY = _batch(*(_line(at, PADDED) for at in range(1, 15_001)))
"""20 MB, which is more than the engine parses in one piece by default."""


def test_a_batch_of_many_megabytes_is_one_block(clickhouse: ClickHouse) -> None:
    assert len(MANY.payload) > 20_000_000
    _deliver(clickhouse, MANY, MANY)
    assert _blocks(clickhouse) == 1
    assert _checked(clickhouse) == [[LOG_ID, 15_000, 0, 0]]


def test_small_limits_in_place_of_those_of_the_page_cut_a_batch_into_blocks(clickhouse: ClickHouse) -> None:
    url = _settings(clickhouse).url
    _deliver(clickhouse, MANY, url=re.sub(r"(block_size|block_size_rows|block_size_bytes)=\d+", r"\1=1000", url))
    assert _blocks(clickhouse) > 1


def test_the_view_flattens_the_event(clickhouse: ClickHouse) -> None:
    odd = b'{"sid":"9223372036854775807","aid":"dev","items":null}'
    ids = b'"event_id":"e-1","dialect":"segment",'
    client_times = b'{"sid":-1,"ea":7,"et":1717199000000,"sent_at":"2024-06-01T00:00:00Z"}'
    _deliver(clickhouse, _batch(_line(1), _line(2, odd), _line(3, client_times, ids=ids)))
    rows = [
        json.loads(row)
        for row in clickhouse.query(
            "SELECT * FROM tracklog.events_flat ORDER BY sequence FORMAT JSONEachRow"
        ).splitlines()
    ]
    assert rows[0] == {
        "received_at": "2024-06-01 00:00:00.000",
        "occurred_at": "2024-05-31 23:43:20.001",
        "portal_id": 33167,
        "prop_id": 2,
        "source": "web",
        "event_id": "",
        "dialect": "",
        "ea": "view",
        "ec": "product",
        "sid": 6320,
        "aid": "38400000",
        "uid": "u-8812",
        "au_id": 9223372036854775808,
        "session_id": 6320,
        "et": "",
        "sent_at": "",
        "items": 2,
        "context": "",
        "extra": '{"k":"é"}',
        "dims": "",
        "log_id": LOG_ID,
        "sequence": 1,
    }
    assert [(row["sid"], row["aid"], row["items"]) for row in rows[1:]] == [(2**63 - 1, "dev", 0), (0, "", 0)]
    assert [rows[2][name] for name in ("event_id", "dialect", "et", "sent_at")] == [
        "e-1",
        "segment",
        "1717199000000",
        "2024-06-01T00:00:00Z",
    ]


@pytest.mark.parametrize("unix_ms", [2**63 - 1, -(2**63), 10**16])
def test_a_time_of_a_client_stops_no_batch(clickhouse: ClickHouse, unix_ms: int) -> None:
    line = _line(1).replace(b'"occurred_at":1717199000001', b'"occurred_at":%d' % unix_ms)
    _deliver(clickhouse, _batch(line))
    assert _number(clickhouse, "SELECT count(occurred_at) FROM tracklog.events_flat") == 1


OTHER_LOG_ID = b"fedcba9876543210"


def _identified(sequence: int, event_id: str, received_ms: int = MIDNIGHT_MS) -> bytes:
    return _line(sequence, received_ms=received_ms, ids=b'"event_id":"%b",' % event_id.encode())


def _of_other_node(line: bytes) -> bytes:
    return line.replace(LOG_ID.encode(), OTHER_LOG_ID, 1)


def _once(clickhouse: ClickHouse) -> list[str]:
    """The ids of the records that are counted once."""
    query = "SELECT concat(log_id, '-', toString(sequence)) FROM tracklog.events_once FINAL ORDER BY 1"
    return clickhouse.query(query).decode().split()


def _with_marks(clickhouse: ClickHouse) -> dict[str, str]:
    """The sink's `resume_url` with the line for the table that counts each event once."""
    resume_url = _settings(clickhouse).resume_url
    assert resume_url
    return {"resume_url": resume_url.replace("least(", f"least({ONCE_MARKS.strip()}")}


@pytest.mark.parametrize("is_merged", [False, True])
def test_an_event_that_two_nodes_took_counts_once_and_the_copy_received_first_stays(
    clickhouse: ClickHouse, is_merged: bool
) -> None:
    clickhouse.make(ONCE)
    ours = [_identified(1, "e-1"), _identified(2, "e-2", MIDNIGHT_MS + 9), _line(3)]
    theirs = [_identified(1, "e-2"), _identified(2, "e-1", MIDNIGHT_MS + 9), _line(3)]
    theirs.append(_identified(4, "e-1", MIDNIGHT_MS + 5))
    _deliver(clickhouse, _batch(*ours), _batch(*map(_of_other_node, theirs), token="o"))
    if is_merged:
        clickhouse.query("OPTIMIZE TABLE tracklog.events_once FINAL")
        assert _number(clickhouse, "SELECT count() FROM tracklog.events_once") == 4
    other = OTHER_LOG_ID.decode()
    assert _once(clickhouse) == [f"{LOG_ID}-1", f"{LOG_ID}-3", f"{other}-1", f"{other}-3"]
    assert clickhouse.query(ONCE_QUERY) == b"view\t4\n"
    assert len(clickhouse.arrived()) == 7


def test_the_id_of_a_client_counts_in_its_property_alone_and_is_no_record_s(clickhouse: ClickHouse) -> None:
    clickhouse.make(ONCE)
    elsewhere = _identified(3, "e-1").replace(b'"prop_id":2', b'"prop_id":3')
    lines = [_line(1), _identified(2, "e-1"), elsewhere, _identified(4, f"{LOG_ID}-1")]
    _deliver(clickhouse, _batch(*lines))
    assert len(_once(clickhouse)) == 4


@pytest.mark.parametrize("table", ["events_once", "events_once_marks"])
def test_the_table_that_counts_once_catches_up_after_a_failure(clickhouse: ClickHouse, table: str) -> None:
    clickhouse.make(ONCE)
    clickhouse.query(f"ALTER TABLE tracklog.{table} ADD CONSTRAINT none CHECK sequence > 10000")
    batch, resume = _batch(*_lines(1, 3)), _with_marks(clickhouse)
    with pytest.raises(SinkError, match="answered 500"):
        _deliver(clickhouse, batch, **resume)
    clickhouse.query(f"ALTER TABLE tracklog.{table} DROP CONSTRAINT none")
    assert _deliver(clickhouse) == 4, "the two tables before it have the batch"
    assert _deliver(clickhouse, batch, batch, **resume) == 1
    assert _deliver(clickhouse, **resume) == 4
    assert len(_once(clickhouse)) == 3
    assert _checked(clickhouse) == [[LOG_ID, 3, 0, 0]]


def test_the_table_that_counts_once_can_be_made_later(clickhouse: ClickHouse) -> None:
    _deliver(clickhouse, _batch(_identified(1, "e-1"), _line(2)))
    clickhouse.make(ONCE)
    _deliver(clickhouse, _batch(_identified(3, "e-1", MIDNIGHT_MS + 1), first=3))
    clickhouse.query(ONCE_COPY)
    assert _once(clickhouse) == [f"{LOG_ID}-1", f"{LOG_ID}-2"]
    assert _deliver(clickhouse, **_with_marks(clickhouse)) == 4


def test_members_that_come_twice_or_differ_in_case_alone_are_read(clickhouse: ClickHouse) -> None:
    odd = [
        b'{"ea":"view","EA":"other","ec":"c","Sid":7,"sid":6}',
        b'{"ea":"view","ea":"view","sid":6,"items":[],"items":[]}',
        b'{"ea":"view","sid":"6","context":{"ip":1,"IP":{},"ip":2},"Context":3}',
    ]
    batch = _batch(*(_line(at, event) for at, event in enumerate(odd, 1)))
    _deliver(clickhouse, batch)
    assert clickhouse.arrived() == [event.line for event in batch.events()]
    rows = clickhouse.query("SELECT ea, sid, context FROM tracklog.events_flat ORDER BY sequence FORMAT TSV")
    assert rows == b'view\t6\t\nview\t6\t\nview\t6\t{"ip":1,"IP":{},"ip":2}\n'


def _fail_in_the_view(clickhouse: ClickHouse, batch: Batch, url: str) -> None:
    clickhouse.query("ALTER TABLE tracklog.events_flat ADD CONSTRAINT none CHECK sid > 10000")
    with pytest.raises(SinkError, match=r"answered 500: .*while pushing to view") as caught:
        _deliver(clickhouse, batch, url=url)
    assert not isinstance(caught.value, BatchRefused)
    clickhouse.query("ALTER TABLE tracklog.events_flat DROP CONSTRAINT none")
    assert len(clickhouse.arrived()) == 3


@pytest.mark.parametrize(("setting", "rows"), [(1, 3), (0, 6)])
def test_a_view_that_failed_catches_up_once_with_the_setting_of_the_page(
    clickhouse: ClickHouse, setting: int, rows: int
) -> None:
    batch = _batch(*_lines(1, 3))
    url = _settings(clickhouse).url.replace("materialized_views=1", f"materialized_views={setting}")
    _fail_in_the_view(clickhouse, batch, url)
    assert _deliver(clickhouse, batch, batch, url=url) == 1, "the view lacks them"
    assert _checked(clickhouse) == [[LOG_ID, 3, 0, 0]]
    assert _number(clickhouse, "SELECT count() FROM tracklog.events_flat") == rows
    assert _deliver(clickhouse) == 4


def test_a_bad_row_refuses_its_batch_and_the_halves_without_it_arrive(clickhouse: ClickHouse) -> None:
    assert clickhouse.poison
    good = _lines(1, 2)
    whole = _batch(*good, clickhouse.poison, token="t")
    with pytest.raises(BatchRefused, match=r"answered 400: Code: 27.*reading the value of key received_at"):
        _deliver(clickhouse, whole)
    assert clickhouse.arrived() == []
    half = _batch(*good, token="t+1-2")
    _deliver(clickhouse, half)
    with pytest.raises(BatchRefused):
        _deliver(clickhouse, _batch(clickhouse.poison, first=3, token="t+3-3"))
    _deliver(clickhouse, half)
    assert _checked(clickhouse) == [[LOG_ID, 2, 0, 0]]


def test_a_typo_in_the_query_is_a_400_as_the_page_warns(clickhouse: ClickHouse) -> None:
    url = _settings(clickhouse).url.replace("INSERT INTO", "INSERT IN")
    with pytest.raises(BatchRefused, match="answered 400: Code: 62"):
        _deliver(clickhouse, _batch(_line(1)), url=url)


@pytest.mark.parametrize(
    ("ddl", "status"),
    [
        ("RENAME TABLE tracklog.events_flat TO tracklog.away", 404),
        ("ALTER TABLE tracklog.events ADD CONSTRAINT none CHECK sequence > 9", 500),
    ],
)
def test_what_is_no_rows_fault_is_tried_again(clickhouse: ClickHouse, ddl: str, status: int) -> None:
    clickhouse.query(ddl)
    with pytest.raises(SinkError, match=f"answered {status}: Code: ") as caught:
        _deliver(clickhouse, _batch(_line(1)), resume_url=None)
    assert not isinstance(caught.value, BatchRefused)


def test_a_setting_that_the_engine_lacks_is_tried_again(clickhouse: ClickHouse) -> None:
    with pytest.raises(SinkError, match=r"answered 404: Code: 115.*UNKNOWN_SETTING"):
        _deliver(clickhouse, _batch(_line(1)), url=_settings(clickhouse).url + "&of_next_year=1")


def test_the_password_of_the_page_comes_from_the_environment(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = tomllib.loads(SINK)["sink"][0]["headers"]
    for password in (PASSWORD, "wr0ng-one"):
        monkeypatch.setenv("CLICKHOUSE_PASSWORD", password)
        if password == PASSWORD:
            _deliver(clickhouse, _batch(_line(1)), headers=headers)
    with pytest.raises(SinkError, match=r"answered 403: .*; check the sink's headers") as caught:
        _deliver(clickhouse, _batch(_line(1)), headers=headers)
    assert "wr0ng-one" not in str(caught.value)


def test_resume_url_tells_what_the_table_has_of_this_log(clickhouse: ClickHouse) -> None:
    other = _line(900).replace(LOG_ID.encode(), b"fedcba9876543210")
    assert _deliver(clickhouse) == 1
    _deliver(clickhouse, _batch(*_lines(1, 3)), _batch(other, token="o"))
    assert _deliver(clickhouse) == 4


def test_resume_url_reads_the_projections_and_no_rows(clickhouse: ClickHouse) -> None:
    _deliver(clickhouse, _batch(*_lines(1, 3)))
    resume_url = f"{_settings(clickhouse).resume_url}&force_optimize_projection_name=latest"
    assert _deliver(clickhouse, resume_url=resume_url) == 4
    clickhouse.query("ALTER TABLE tracklog.events_flat DROP PROJECTION latest")
    with pytest.raises(SinkError, match=r"Projection latest is specified .* but not used"):
        _deliver(clickhouse, resume_url=resume_url)


def test_the_settings_for_replicated_tables_are_known_to_the_engine(clickhouse: ClickHouse) -> None:
    """Without a Keeper here, they stand in a table that is not replicated, and the engine only parses its name."""
    engine = re.search(r"ENGINE = Replicated.*?\)", REPLICATED)
    assert engine
    ddl = re.sub(r"ENGINE = .*?;", REPLICATED.strip(), TABLES.split(";")[1] + ";", count=1, flags=re.DOTALL)
    clickhouse.query("EXPLAIN AST " + ddl)
    clickhouse.query(ddl.replace(engine[0], "ENGINE = MergeTree").replace("tracklog.events", "tracklog.replicated"))


def test_lines_of_any_kind_arrive_once_in_the_table_that_has_them_whole(server: Child) -> None:
    clickhouse = ClickHouseLines(server)
    assert clickhouse.poison
    batch = _batch(b'{"id":"%b-1", "n": 1}\n' % LOG_ID.encode(), _line(2))
    _deliver(clickhouse, batch, batch)
    with pytest.raises(BatchRefused, match="answered 400"):
        _deliver(clickhouse, _batch(clickhouse.poison))
    assert clickhouse.arrived() == [event.line for event in batch.events()]
