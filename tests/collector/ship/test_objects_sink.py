"""The objects sink: every batch is there once and whole, in real stores, over connections that drop."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import duckdb
import pytest

from bench.processes import free_port
from collector.errors import BadSettings, SinkError
from collector.ship.batch import Batch
from collector.ship.formats.encoding import encoding
from collector.ship.partition import grouped
from collector.ship.sinks.objects.settings import ObjectsSinkSettings
from collector.ship.sinks.objects.sink import ObjectsSink
from tests.collector.ship.batches import ELEVEN_MS, LOG_ID, batch, deliver, part, record
from tests.destinations import http_server
from tests.destinations.files import contents_of, lines_in
from tests.destinations.objects import KEY, Bucket, Moto, SeaweedFS, Server
from tests.destinations.unreliable import Drops, Proxy

BATCH = batch(part(ELEVEN_MS - 1, 1, 6, ("web", "pos")), part(ELEVEN_MS, 7, 8))
NEXT = batch(part(ELEVEN_MS + 9, 9, 12))
PLACES = {
    f"source=pos/date=2024-05-01/hour=10/{LOG_ID}-0000000000000001-0000000000000005.ndjson.zst",
    f"source=web/date=2024-05-01/hour=10/{LOG_ID}-0000000000000002-0000000000000006.ndjson.zst",
    f"source=web/date=2024-05-01/hour=11/{LOG_ID}-0000000000000007-0000000000000008.ndjson.zst",
}
MARK = f"_tracklog/{LOG_ID}.objects.json"
PROBE = "_tracklog/probe"
_SHARE = 0.2
"""Of the pieces at which a connection drops."""


@pytest.fixture(scope="module", params=[Moto, SeaweedFS])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with closing(request.param(tmp_path_factory.mktemp("server"))) as server:
        yield server


@pytest.fixture
def moto(tmp_path: Path) -> Iterator[Server]:
    with closing(Moto(tmp_path)) as server:
        yield server


def _sink(
    bucket: Bucket, kind: Literal["ndjson", "parquet"] = "ndjson", consumer: str = "objects", **options: str
) -> ObjectsSink:
    return _of(bucket.url, bucket.options | options, consumer, kind)


def _of(
    url: str, options: dict[str, str], consumer: str = "objects", kind: Literal["ndjson", "parquet"] = "ndjson"
) -> ObjectsSink:
    return ObjectsSink(ObjectsSinkSettings(url=url, options=options, format=kind), consumer)


def _events(bucket: Bucket) -> dict[str, bytes]:
    return {name: content for name, content in bucket.contents().items() if not name.startswith("_tracklog/")}


def _lines(*batches: Batch) -> list[bytes]:
    return sorted(event.line for batch in batches for event in batch.events())


def _message(sink: ObjectsSink) -> str:
    """That of the error of a delivery, which must be an error."""
    with pytest.raises(SinkError) as caught:
        deliver(sink, BATCH)
    assert caught.value.retriable
    return str(caught.value)


def test_a_batch_is_an_object_for_each_source_and_hour(server: Server) -> None:
    bucket = Bucket(server)
    assert deliver(_sink(bucket), BATCH, NEXT) == 1
    names = set(bucket.contents())
    assert names - PLACES == {
        f"source=web/date=2024-05-01/hour=11/{LOG_ID}-0000000000000009-0000000000000012.ndjson.zst",
        MARK,
        PROBE,
    }
    assert sorted(bucket.arrived()) == _lines(BATCH, NEXT)


def test_the_same_batch_again_leaves_every_object_as_it_is(server: Server) -> None:
    bucket = Bucket(server)
    deliver(_sink(bucket), BATCH)
    before = bucket.contents()
    deliver(_sink(bucket), BATCH, BATCH)
    assert bucket.contents() == before


@pytest.mark.parametrize("place", sorted(PLACES))
def test_a_crash_between_the_objects_of_a_batch_is_made_good(server: Server, place: str) -> None:
    bucket = Bucket(server)
    deliver(_sink(bucket), BATCH)
    whole = bucket.contents()
    bucket.delete(place)
    bucket.delete(MARK)
    assert deliver(_sink(bucket), BATCH) == 1
    assert bucket.contents() == whole


def test_the_mark_of_a_batch_is_put_behind_its_objects(moto: Server) -> None:
    puts: list[str] = []

    def note(piece: bytes) -> bytes:
        puts.extend(name.decode() for name in re.findall(rb"PUT /events/number/\d+/(\S+) ", piece))
        return piece

    with closing(Proxy(moto.port, request=note)) as proxy:
        deliver(_sink(Bucket(moto, port=proxy.port)), BATCH)
    assert puts[-1] == MARK
    assert puts.count(MARK) == 1


def test_a_cursor_of_long_ago_goes_on_where_the_mark_is(server: Server) -> None:
    bucket = Bucket(server)
    deliver(_sink(bucket), BATCH, NEXT)
    assert deliver(_sink(bucket), sequence=3) == 13
    assert deliver(_sink(bucket), sequence=14) == 14
    assert deliver(_sink(bucket, consumer="other"), sequence=3) == 3
    deliver(_sink(bucket), BATCH)
    assert deliver(_sink(bucket), sequence=3) == 13


def test_an_object_that_another_version_wrote_counts_as_delivered(server: Server) -> None:
    bucket = Bucket(server)
    (group,) = grouped(NEXT, "source={source}/date={date}/hour={hour}")
    there = encoding("parquet").encode(LOG_ID, group.parts)
    bucket.put(f"{group.name}.parquet", there.replace(b"parquet-cpp-arrow version", b"parquet-cpp-arrow VERSION"))
    before = _events(bucket)
    deliver(_sink(bucket, "parquet"), NEXT)
    assert _events(bucket) == before
    assert before[f"{group.name}.parquet"] != there


@pytest.mark.parametrize("content", [b"", b"nothing of ours", encoding("ndjson").encode(LOG_ID, NEXT.parts)])
def test_a_wrong_object_in_the_place_is_an_error_that_names_it(server: Server, content: bytes) -> None:
    bucket = Bucket(server)
    place = sorted(PLACES)[1]
    bucket.put(place, content)
    message = _message(_sink(bucket))
    assert message.startswith(f"{bucket.url}/{place}: holds something else")
    assert "move it away" in message
    assert bucket.contents()[place] == content
    bucket.delete(place)
    deliver(_sink(bucket), BATCH)
    assert sorted(bucket.arrived()) == _lines(BATCH)


def test_a_replay_is_beside_the_first_delivery_and_once_under_its_name(server: Server) -> None:
    bucket = Bucket(server)
    deliver(_sink(bucket), BATCH)
    for _ in range(2):
        deliver(_sink(bucket, consumer="objects.replay.again"), BATCH._replace(replay="again"))
    again = {name.replace(".ndjson", ".replay-again.ndjson") for name in PLACES}
    assert set(_events(bucket)) == PLACES | again


def test_parquet_objects_hold_what_the_ndjson_objects_do(server: Server, tmp_path: Path) -> None:
    bucket = Bucket(server)
    deliver(_sink(bucket, "parquet"), BATCH, NEXT, BATCH)
    assert sorted(bucket.arrived()) == _lines(BATCH, NEXT)
    for name, content in _events(bucket).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    query = "SELECT source, count(*), sum(sequence) FROM read_parquet(?) GROUP BY ALL ORDER BY source"
    found = duckdb.execute(query, [str(tmp_path / "**" / "*.parquet")]).fetchall()
    assert found == [("pos", 3, 1 + 3 + 5), ("web", 9, sum(range(1, 13)) - 9)]


def test_a_store_that_overwrites_in_spite_of_the_condition_is_refused(moto: Server) -> None:
    def strip(piece: bytes) -> bytes:
        return re.sub(rb"(?i)if-none-match: \*", b"x-ignored-thing: *", piece)

    with closing(Proxy(moto.port, request=strip)) as proxy:
        bucket = Bucket(moto, port=proxy.port)
        message = _message(_sink(bucket))
    assert message.startswith(f"{bucket.url}/{PROBE}: the store took a conditional put")
    assert _events(bucket) == {}


def test_an_object_whose_response_was_lost_is_put_again_and_is_there_once(server: Server) -> None:
    puts: list[bytes] = []
    lost: list[bytes] = []

    def note(piece: bytes) -> bytes:
        puts.extend(re.findall(rb"PUT \S+/(\S+)\.ndjson\.zst ", piece))
        return piece

    def lose_the_first(piece: bytes) -> bytes | None:
        if not puts or lost:
            return piece
        lost.append(piece)
        return None

    with closing(Proxy(server.port, request=note, response=lose_the_first)) as proxy:
        bucket = Bucket(server, port=proxy.port)
        message = _message(_sink(bucket))
        before = _events(bucket)
        deliver(_sink(bucket), BATCH)
    assert "no answer" in message
    assert lost[0].startswith(b"HTTP/1.1 200 ")
    assert len(before) == 1
    assert sorted(bucket.arrived()) == _lines(BATCH)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("direction", ["request", "response"])
def test_over_connections_that_drop_everything_arrives_once(server: Server, direction: str, seed: int) -> None:
    drops = Drops(_SHARE, seed)
    batches = [batch(part(ELEVEN_MS + at, at, at + 9, ("web", "pos"))) for at in range(1, 60, 10)]
    with closing(Proxy(server.port, **{direction: drops})) as proxy:
        bucket = Bucket(server, port=proxy.port)
        for sent in batches:
            asyncio.run(_deliver_at_last(_sink(bucket), sent))
    assert drops.dropped > 0
    assert sorted(bucket.arrived()) == _lines(*batches)


def test_a_store_that_is_down_is_an_error_until_it_is_up(server: Server) -> None:
    bucket = Bucket(server)
    deliver(_sink(bucket), BATCH)
    bucket.down()
    try:
        message = _message(_sink(bucket))
    finally:
        bucket.up()
    assert "no answer; check the endpoint" in message
    assert "Connection refused" in message
    asyncio.run(_deliver_at_last(_sink(bucket), NEXT))
    assert sorted(bucket.arrived()) == _lines(BATCH, NEXT)


def test_a_bucket_that_is_not_there_is_an_error_that_says_so(server: Server) -> None:
    options = Bucket(server).options
    message = _message(_of("s3://no-such-bucket/prefix", options))
    assert message.startswith(f"s3://no-such-bucket/prefix/{PROBE}: no such bucket; create it")


def test_a_store_that_does_not_respond_is_an_error_in_time(server: Server) -> None:
    with closing(Proxy(server.port, response=lambda piece: b"")) as proxy:
        bucket = Bucket(server, port=proxy.port)
        assert "no answer; check the endpoint" in _message(_sink(bucket, timeout="200ms"))


def test_neither_retries_nor_redirects_hide_from_the_shipper(moto: Server) -> None:
    requests: list[bytes] = []

    def refuse(piece: bytes) -> None:
        requests.append(piece)

    with closing(Proxy(moto.port, request=refuse)) as proxy:
        _message(_sink(Bucket(moto, port=proxy.port)))
    assert len(requests) == 1


@pytest.mark.parametrize("found", [b"<html>closed for maintenance</html>", None])
def test_what_answers_in_place_of_the_store_confirms_nothing(found: bytes | None) -> None:
    """obstore follows a 303 with a GET, whose 200 it takes for that of its PUT."""

    def respond(request: http_server.Request) -> http_server.Response:
        if request.method == "PUT":
            return http_server.Response(303, headers={"location": "/page"})
        if found is None and request.method == "HEAD":
            return http_server.Response(404)
        return http_server.Response(
            200, found or b"page", {"etag": '"1"', "last-modified": "Wed, 01 Jan 2025 00:00:00 GMT"}
        )

    listener = http_server.server(0, respond)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
    thread.start()
    options = {"endpoint": f"http://127.0.0.1:{listener.server_port}", "access_key_id": "a", "secret_access_key": KEY}
    try:
        with pytest.raises(SinkError, match=f"the store confirmed 7 bytes and has {len(found or b'')}; check"):
            asyncio.run(_of("s3://bucket/p", options)._store.create("event", b"content", "text/plain"))
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


def test_credentials_that_do_not_suit_are_an_error_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKLOG_TEST_S3_KEY", "wrong-secret/with+signs")
    monkeypatch.setenv("TRACKLOG_TEST_S3_ID", "wrong-id")
    with closing(SeaweedFS(tmp_path)) as server:
        bucket = Bucket(server)
        message = _message(_sink(bucket, secret_access_key="env:TRACKLOG_TEST_S3_KEY"))
        other = _message(_sink(bucket, access_key_id="env:TRACKLOG_TEST_S3_ID"))
        monkeypatch.setenv("TRACKLOG_TEST_S3_KEY", KEY)
        deliver(_sink(bucket, secret_access_key="env:TRACKLOG_TEST_S3_KEY"), BATCH)
    assert message.startswith(f"{bucket.url}/{PROBE}: not allowed; check the credentials")
    assert other.startswith(f"{bucket.url}/{PROBE}: not allowed; check the credentials")
    assert "wrong" not in message + other


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"url": "ftp://bucket"}, "url: expected s3://bucket/prefix"),
        ({"url": "s3://"}, "url: expected"),
        ({"url": "s3://key:secret@bucket"}, "url: expected"),
        ({"url": "file://relative/folder"}, "url: expected"),
        ({"url": "s3://b", "options": {"endpont": "x"}}, r"options\.endpont: expected a setting"),
        ({"url": "gs://b", "options": {"endpont": "x"}}, r"options\.endpont: expected a setting"),
        ({"url": "az://b", "options": {"endpont": "x"}}, r"options\.endpont: expected a setting"),
        ({"url": "az://b"}, "options: .*Account must be specified"),
        ({"url": "file:///b", "options": {"region": "x"}}, r"options\.region: expected none for a folder"),
        ({"url": "s3://b", "options": {"token": "env:TRACKLOG_NOT_SET"}}, r"options\.token: expected TRACKLOG_NOT_SET"),
        ({"url": "s3://b", "options": {"aws_timeout": "3 parsecs"}}, "options: .*as Duration"),
        ({"url": "s3://b", "partition": "a//b"}, "partition: expected folders"),
        ({"url": "s3://b", "partition": "/a"}, "partition: expected folders"),
        ({"url": "s3://b", "partition": "../a"}, "partition: expected folders"),
        ({"url": "s3://b", "partition": "_tracklog/a"}, "partition: expected folders"),
    ],
)
def test_settings_that_cannot_be_used_are_named(settings: dict[str, object], expected: str) -> None:
    with pytest.raises(BadSettings, match=f"sink objects: {expected}"):
        ObjectsSink(ObjectsSinkSettings(**settings), "objects")  # type: ignore[arg-type]


def test_a_bad_setting_from_the_environment_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLOG_TEST_OPTION", 'a "secret"\\ value')
    for name in ("allow_http", "timeout", "checksum_algorithm", "virtual_hosted_style_request", "conditional_put"):
        with pytest.raises(BadSettings) as caught:
            _of("s3://bucket", {name: "env:TRACKLOG_TEST_OPTION"})
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "aws_", "AWS_"])
def test_options_of_the_http_client_are_taken_under_any_of_obstores_names(prefix: str) -> None:
    _of("s3://bucket", {f"{prefix}timeout": "3s", f"{prefix}allow_http": "true", f"{prefix}region": "eu-west-1"})


def test_google_and_azure_are_taken_by_their_urls() -> None:
    _of("gs://bucket/prefix", {"skip_signature": "true"})
    _of("az://container/prefix", {"account_name": "a", "account_key": "a2V5"})


def test_a_folder_is_filled_as_a_bucket_is(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    url = f"file://{folder.as_posix().replace(' ', '%20')}"
    assert deliver(_of(url, {}), BATCH, BATCH) == 1
    contents = contents_of(folder)
    assert set(contents) == PLACES | {MARK}
    assert sorted(lines_in(contents)) == _lines(BATCH)
    assert deliver(_of(url, {}), sequence=2) == 9


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert _message(_of(f"file://{tmp_path}/file/folder", {})).startswith(f"{tmp_path}/file/folder: ")


def test_the_event_loop_goes_on_while_a_large_batch_is_put(moto: Server) -> None:
    lines = [record(number) for number in range(1, 5001)]
    large = batch(part(ELEVEN_MS, 1)._replace(last=5000, payload=b"".join(lines)))
    turns = 0

    async def run() -> None:
        nonlocal turns
        sink = _sink(Bucket(moto), "parquet")
        await sink.open(LOG_ID, 1)
        delivery = asyncio.create_task(sink.deliver(large))
        while not delivery.done():
            turns += 1
            await asyncio.sleep(0)
        await delivery
        await sink.close()

    asyncio.run(run())
    assert turns > 10


def test_a_port_that_nobody_listens_on_is_an_error_that_names_it() -> None:
    port = free_port()
    options = {"endpoint": f"http://127.0.0.1:{port}", "access_key_id": "a", "secret_access_key": KEY}
    message = _message(_of("s3://bucket", options))
    assert f"127.0.0.1:{port}" in message
    assert KEY not in message


async def _deliver_at_last(sink: ObjectsSink, batch: Batch) -> None:
    """What the shipper does: open, and deliver the same batch until it is there, unless the sink has it already."""
    for _ in range(100):
        with contextlib.suppress(SinkError):
            if (await sink.open(LOG_ID, batch.first)).next <= batch.last:
                await sink.deliver(batch)
            return
        await sink.close()
    pytest.fail("the batch never arrived")
