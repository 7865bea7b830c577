"""A node that ships to another node: each event is in the other's log once, whichever of them dies and when."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from tests.running import PROGRAMS, WRITE_KEYS, Collector, Response, eventually, running
from wal.files import Files
from wal.folder import LogFolder

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
relay_keys = ["env:TRACKLOG_TEST_KEY_A", "env:TRACKLOG_TEST_KEY_B"]
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.2
"""
KEY = WRITE_KEYS["TRACKLOG_TEST_KEY_A"]
OTHER_KEY = WRITE_KEYS["TRACKLOG_TEST_KEY_B"]
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


def _line(sequence: object, node: str = NODE, **members: str) -> bytes:
    """A record; `source="1"` makes JSON of that member."""
    record = {"received_at": "1", "portal_id": "1", "prop_id": "2", "source": '"web"', "s2s": "false", "au_id": '"3"'}
    record |= {"event": "{}"} | members
    return "".join(
        [f'{{"id":"{node}-{sequence}"', *(f',"{name}":{value}' for name, value in record.items()), "}\n"]
    ).encode()


def _relay(centre: Collector, node: str, body: bytes, key: str = KEY, **headers: str) -> Response:
    return centre.send("POST", f"/relay?log_id={node}", body, x_write_key=key, **headers)


def _wanted(centre: Collector, node: str, key: str = KEY) -> bytes:
    answer = centre.send("GET", f"/relay?log_id={node}", x_write_key=key)
    assert answer.status == 200, answer
    return answer.body


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A node that takes relays."""
    with running(tmp_path_factory.mktemp("centre"), settings=CENTRE) as collector:
        yield collector


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        pytest.param(_line(5) + _line(5), 400, "comes after", id="twice"),
        pytest.param(_line(6) + _line(5), 400, "comes after", id="out of order"),
        pytest.param(_line(5)[:-1], 400, "LF after every record", id="cut off"),
        pytest.param(b"", 400, "one record a line", id="nothing"),
        pytest.param(_line(5, "fedcba9876543210"), 400, "not a record of log", id="of another log"),
        pytest.param(b'{"ea":"view"}\n', 400, "not a record", id="an event without an envelope"),
        pytest.param(b'["x"]\n', 400, "not a record", id="not an object"),
        pytest.param(b" " + _line(5), 400, "not a record of log", id="with a space in front"),
        pytest.param(b'{"id":"\xff"}\n', 400, "not a record", id="not UTF-8"),
        pytest.param(b" " * (9 << 20), 413, "limit", id="too large"),
    ],
)
def test_what_no_node_sends_is_refused_whole(centre: Collector, body: bytes, status: int, said: str) -> None:
    before = len(centre.stored())
    packed = zstandard.compress(body)
    answer = centre.send("POST", f"/relay?log_id={NODE}", packed, x_write_key=KEY, content_encoding="zstd")
    assert (answer.status, said in answer.json()["message"]) == (status, True)
    assert len(centre.stored()) == before


@pytest.mark.parametrize("sequence", [2**53 + 1, 10**15 * 10, 10**40, "٣", "³", "007", "+7", "", "1_0"])
def test_a_sequence_that_no_log_has_is_refused_and_events_after_it_are_stored(
    centre: Collector, sequence: object
) -> None:
    node = os.urandom(8).hex()
    assert _relay(centre, node, _line(sequence, node)).status == 400
    assert _relay(centre, node, _line(5, node)).body == b"6"
    assert [each for each in _ids(centre) if each.startswith(node)] == [f"{node}-5"]


def test_the_largest_sequence_is_stored(centre: Collector) -> None:
    node = os.urandom(8).hex()
    assert _relay(centre, node, _line(2**53, node)).body == b"%d" % (2**53 + 1)
    assert _wanted(centre, node) == b"%d" % (2**53 + 1)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"source": '"Web"'}, "source"),
        ({"source": '"../web"'}, "source"),
        ({"source": '""'}, "source"),
        ({"source": '"web\\n"'}, "source"),
        ({"source": f'"{"a" * 65}"'}, "source"),
        ({"portal_id": "0"}, "portal_id"),
        ({"portal_id": str(2**53)}, "portal_id"),
        ({"prop_id": "-1"}, "prop_id"),
        ({"prop_id": '"2"'}, "prop_id"),
        ({"received_at": "-1"}, "received_at"),
        ({"received_at": str(10**13)}, "received_at"),
        ({"received_at": "1.5"}, "received_at"),
        ({"au_id": '""'}, "au_id"),
        ({"au_id": '"-3"'}, "au_id"),
        ({"au_id": '"٣"'}, "au_id"),
        ({"event": "[]"}, "event"),
        ({"event": "null"}, "event"),
        ({"event": '{"ea":"%s"}' % ("x" * (64 << 10))}, "limit of 65536"),
        ({"event": '{"a":' * 65 + "1" + "}" * 65}, "deeper than 64"),
        ({"event": f'{{"a":{"[" * 100_000}1{"]" * 100_000}}}'}, "not JSON"),
        ({"event": '{"a":1'}, "not JSON"),
        ({"extra": "1"}, "`event` as the last"),
        ({'source":"web","source': '"web"'}, "every member once"),
        ({'source":"web","id': f'"{NODE}-6"'}, "every member once"),
        ({'sourc\\u0065":"web","source': '"web"'}, "every member once"),
        ({"s2s": " false"}, "no spaces"),
    ],
)
def test_a_record_that_no_node_writes_is_refused_by_its_name(
    centre: Collector, members: dict[str, str], said: str
) -> None:
    before = len(centre.stored())
    answer = _relay(centre, NODE, _line(4) + _line(5, **members))
    message = answer.json()["message"]
    assert (answer.status, said in message) == (400, True), message
    assert message.startswith(f"record {NODE}-5: ")
    assert len(centre.stored()) == before


def test_bytes_that_are_not_utf8_are_refused_in_any_member(centre: Collector) -> None:
    for name in ("event", "referer"):
        line = _line(5, referer='"@"', event='{"a":"@"}').replace(b"@", b"\xff", 1 if name == "referer" else 2)
        answer = _relay(centre, NODE, line)
        assert (answer.status, "not UTF-8" in answer.json()["message"]) == (400, True)


def test_a_line_over_the_format_s_limit_is_refused(centre: Collector) -> None:
    answer = _relay(centre, NODE, _line(5, referer=f'"{"x" * (1 << 20)}"'))
    assert (answer.status, "expected a line of at most" in answer.json()["message"]) == (400, True)


def test_all_forms_of_events_that_a_node_takes_arrive(tmp_path: Path) -> None:
    folders = tmp_path / "centre", tmp_path / "edge"
    for folder in folders:
        folder.mkdir()
    target = "/event?portal_id=33167&prop_id=564990801&resp_type=json"
    with running(folders[0], workers=1, settings=CENTRE) as centre:
        with running(folders[1], workers=1, settings=EDGE % (centre.port, centre.port)) as edge:
            assert edge.post(b' { "ea" : "spaced" }\t ').status == 200
            assert edge.post(b'{\r\n"ea":"lines",\n"ea":"again"}').status == 200
            assert edge.post('{"ea":"ü\\u2028","a":%s1%s}'.encode() % (b"[" * 63, b"]" * 63)).status == 200
            assert edge.post(b'[{"ea":"first"} , {"ea":"second" } ]').json()["accepted"] == 2
            assert (
                edge.send("POST", target, b'{"ea":"a"} \n{"ea":"b"}\n', content_type="application/x-ndjson").status
                == 200
            )
            assert edge.send("GET", f"{target}&ea=view&context=%7B%22a%22:1%7D&ea=twice").status == 200
            sent = edge.stored()
            eventually(lambda: len(centre.stored()) == len(sent), "all arrive")
        assert len(sent) == 8
        assert centre.stored() == sent


def test_a_key_speaks_for_no_log_that_came_with_another(centre: Collector) -> None:
    node = os.urandom(8).hex()
    assert _relay(centre, node, _line(1, node)).body == b"2"
    for answer in (
        _relay(centre, node, _line(2, node), OTHER_KEY),
        centre.send("GET", f"/relay?log_id={node}", x_write_key=OTHER_KEY),
    ):
        assert (answer.status, "collector relay forget" in answer.json()["message"]) == (403, True)
    assert _relay(centre, node, _line(2, node)).body == b"3"
    assert sorted(each for each in _ids(centre) if each.startswith(node)) == [f"{node}-1", f"{node}-2"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_speaks_for_a_log_of_this_node(centre: Collector, method: str) -> None:
    for shard in ("00", "01"):
        log_id = LogFolder(Files(), str(centre.folder / "data/log" / shard)).log_id.decode()
        answer = centre.send(method, f"/relay?log_id={log_id}", _line(10**9, log_id), x_write_key=KEY)
        assert (answer.status, "this node's own" in answer.json()["message"]) == (403, True)


def test_a_log_that_is_only_asked_for_leaves_no_file(centre: Collector) -> None:
    node = os.urandom(8).hex()
    assert _wanted(centre, node) == b"0"
    assert list((centre.folder / "data/log/relays").glob(f"{node}*")) == []


def test_the_chain_of_the_last_batch_is_told_and_a_log_with_another_is_stopped(centre: Collector) -> None:
    node = os.urandom(8).hex()
    first, second = _line(1, node) + _line(2, node), _line(3, node)
    assert _relay(centre, node, first).body == b"3"
    assert _wanted(centre, node) == b"3"
    assert _relay(centre, node, second, x_log_chain="0badcafe").body == b"4"
    assert _wanted(centre, node) == b"4 0badcafe"
    assert _relay(centre, node, second, x_log_chain="0badcafe").body == b"4"
    assert _relay(centre, node, second).status == 200, "a sender that tells none can't be told apart"
    assert _relay(centre, node, first, x_log_chain="00000001").status == 200, "it was on the way for long"
    answer = _relay(centre, node, second, x_log_chain="00000001")
    assert (answer.status, "set it aside" in answer.json()["message"]) == (409, True)
    assert _wanted(centre, node) == b"4 0badcafe"


@pytest.mark.parametrize("chain", ["", "0badcaf", "0badcafe0", "0BADCAFE", "0badcafg"])
def test_a_chain_that_no_log_has_is_refused(centre: Collector, chain: str) -> None:
    answer = _relay(centre, NODE, _line(5), x_log_chain=chain)
    assert (answer.status, "x-log-chain" in answer.json()["message"]) == (400, True)


@pytest.mark.parametrize(
    "content", ["", '{"next":', '{"next":-1}', '{"next":1e40}', '{"next":5,"plan":{}}', "[]", "\x00" * 20, "[" * 9999]
)
def test_a_damaged_mark_stops_its_log_alone_and_says_so(centre: Collector, content: str) -> None:
    node, other = os.urandom(8).hex(), os.urandom(8).hex()
    assert _relay(centre, node, _line(1, node)).status == 200
    mark = centre.folder / f"data/log/relays/{node}.json"
    good = mark.read_text()
    mark.write_text(content)
    for _ in range(3):
        answer = _relay(centre, node, _line(2, node))
        assert (answer.status, f"relays/{node}.json: damaged" in answer.json()["message"]) == (503, True)
    assert 1 <= centre.stderr.count(f"relays/{node}.json: damaged") <= 2, "once a worker"
    assert "Traceback" not in centre.stderr
    assert _relay(centre, other, _line(1, other)).status == 200
    mark.write_text(good)
    assert _relay(centre, node, _line(2, node)).body == b"3"


def _command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAMS / "collector"), *arguments, "--config", str(folder / "collector.toml")]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | WRITE_KEYS, cwd="/")


def test_a_new_key_gets_a_log_once_the_old_one_is_gone_or_forgotten(tmp_path: Path) -> None:
    kept, passed = "00000000000000aa", "00000000000000bb"
    with running(tmp_path, workers=1, settings=CENTRE) as centre:
        for node in (kept, passed):
            assert _relay(centre, node, _line(1, node) + _line(2, node), x_log_chain="0badcafe").body == b"3"
            assert _relay(centre, node, _line(3, node), OTHER_KEY).status == 403
        listed = _command(tmp_path, "relay", "ls")
        assert (listed.returncode, KEY in listed.stdout) == (0, False)
        assert [line.split("\t")[0::3] for line in listed.stdout.splitlines()[1:]] == [
            [kept, "env:TRACKLOG_TEST_KEY_A"],
            [passed, "env:TRACKLOG_TEST_KEY_A"],
        ]
        assert _command(tmp_path, "relay", "forget", passed).returncode == 0
        assert _wanted(centre, passed, OTHER_KEY) == b"3 0badcafe", "how far it was is kept"
        assert _relay(centre, passed, _line(2, passed) + _line(3, passed), OTHER_KEY).body == b"4"
        assert _relay(centre, passed, _line(4, passed)).status == 403
        assert centre.stop() == 0
        settings = tmp_path / "collector.toml"
        settings.write_text(settings.read_text().replace('"env:TRACKLOG_TEST_KEY_A", ', ""))
        centre.start()
        assert _relay(centre, kept, _line(3, kept), OTHER_KEY).body == b"4"
        told = [json.loads(line) for line in _command(tmp_path, "relay", "ls", "--json").stdout.splitlines()]
        assert [(each["log_id"], each["next"], each["key"]) for each in told] == [
            (node, 4, "env:TRACKLOG_TEST_KEY_B") for node in (kept, passed)
        ]
    expected = [f"{node}-{n}" for node in (kept, passed) for n in (1, 2, 3)]
    assert sorted(_ids(centre)) == expected, "each once"


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
