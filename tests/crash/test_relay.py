"""A node that ships to another node: each event is in the other's log once, whichever of them dies and when."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from tests.running import WRITE_KEYS, Collector, eventually, running

EDGE = """
[server]
port = {port}
workers = {workers}
[[property]]
portal_id = 33167
prop_id = 564990801
required = ["ea"]
[[sink]]
type = "http"
url = "http://127.0.0.1:%d/relay?log_id={{log_id}}"
resume_url = "http://127.0.0.1:%d/relay?log_id={{log_id}}"
headers = {{ x-write-key = "env:TRACKLOG_TEST_KEY_A" }}
"""
CENTRE = """
[server]
port = {port}
workers = {workers}
relay_keys = ["env:TRACKLOG_TEST_KEY_A"]
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.2
"""
KEY = WRITE_KEYS["TRACKLOG_TEST_KEY_A"]
NODE = "0123456789abcdef"


def _ids(centre: Collector) -> list[str]:
    return [record["id"] for record in centre.stored()]


def test_events_of_one_node_are_in_the_other_once_through_deaths_of_both(tmp_path: Path) -> None:
    folders = tmp_path / "centre", tmp_path / "edge"
    for folder in folders:
        folder.mkdir()
    with running(folders[0], settings=CENTRE) as centre:
        settings = EDGE % (centre.port, centre.port)
        with running(folders[1], settings=settings) as edge:
            acknowledged = []
            for doomed in (None, centre, edge, centre, edge, None):
                acknowledged += [edge.post({"ea": "view"}).headers["x-event-id"] for _ in range(30)]
                if doomed:
                    doomed.kill()
                    doomed.start()
            eventually(lambda: set(_ids(centre)) >= set(acknowledged), "all is in the other node")
            eventually(lambda: len(centre.shipped()) >= len(acknowledged), "and shipped on from there")
    assert sorted(_ids(centre)) == sorted(set(acknowledged)), "each once"
    assert sorted(record["id"] for record in centre.shipped()) == sorted(acknowledged)
    by_log = {record["id"]: record for record in edge.stored()}
    assert all(record == by_log[record["id"]] for record in centre.stored()), "as they were"


def _line(sequence: int, node: str = NODE) -> bytes:
    return (
        b'{"id":"%b-%d","received_at":1,"portal_id":1,"prop_id":2,"source":"web","s2s":false,"au_id":"3","event":{}}\n'
        % (node.encode(), sequence)
    )


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A node that takes relays."""
    with running(tmp_path_factory.mktemp("centre"), settings=CENTRE) as collector:
        yield collector


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        pytest.param(_line(5) + _line(5), 400, "behind", id="twice"),
        pytest.param(_line(6) + _line(5), 400, "behind", id="out of order"),
        pytest.param(_line(5)[:-1], 400, "ending in LF", id="cut off"),
        pytest.param(b"", 400, "a record a line", id="nothing"),
        pytest.param(_line(5, "fedcba9876543210"), 400, "not of log", id="of another log"),
        pytest.param(b'{"ea":"view"}\n', 400, "no record", id="an event without an envelope"),
        pytest.param(b'["x"]\n', 400, "no record", id="no object"),
        pytest.param(b" " + _line(5), 400, "not of log", id="with a space in front"),
        pytest.param(b'{"id":"\xff"}\n', 400, "no record", id="no UTF-8"),
        pytest.param(b" " * (9 << 20), 413, "limit", id="too large"),
    ],
)
def test_what_no_node_sends_is_refused_whole(centre: Collector, body: bytes, status: int, said: str) -> None:
    before = len(centre.stored())
    packed = zstandard.compress(body)
    answer = centre.send("POST", f"/relay?log_id={NODE}", packed, x_write_key=KEY, content_encoding="zstd")
    assert (answer.status, said in answer.json()["message"]) == (status, True)
    assert len(centre.stored()) == before


@pytest.mark.parametrize("headers", [{}, {"x_write_key": "key-x-0123456789abcdef"}, {"authorization": f"Basic {KEY}"}])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_relays_without_the_key(centre: Collector, method: str, headers: dict[str, str]) -> None:
    assert centre.send(method, f"/relay?log_id={NODE}", _line(1), **headers).status == 403


@pytest.mark.parametrize("log_id", ["", "../../etc", "0123456789ABCDEF", "0123456789abcde"])
def test_a_log_is_named_by_its_sixteen_digits(centre: Collector, log_id: str) -> None:
    assert centre.send("GET", f"/relay?log_id={log_id}", x_write_key=KEY).status == 400


def test_other_methods_are_refused(centre: Collector) -> None:
    answer = centre.send("DELETE", f"/relay?log_id={NODE}", x_write_key=KEY)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")


def test_a_batch_is_stored_once_and_get_says_what_is_wanted_next(centre: Collector) -> None:
    node = "00000000000000aa"
    body = zstandard.compress(b"".join(_line(n, node) for n in range(1, 4)))
    for _ in range(2):
        answer = centre.send(
            "POST", f"/relay?log_id={node}", body, authorization=f"Bearer {KEY}", content_encoding="zstd"
        )
        assert (answer.status, answer.body, answer.headers["x-event-ack"]) == (200, b"4", "fsync")
    assert centre.send("GET", f"/relay?log_id={node}", x_write_key=KEY).body == b"4"
    assert [each for each in _ids(centre) if each.startswith(node)] == [f"{node}-{n}" for n in (1, 2, 3)]


def test_without_keys_there_is_no_such_path(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, settings=CENTRE.replace("relay_keys", "# relay_keys")) as collector:
        assert collector.send("GET", f"/relay?log_id={NODE}", x_write_key=KEY).status == 404
