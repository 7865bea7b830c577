"""`collector dead` and `collector redrive`: what was refused is seen, and gets another chance exactly once."""

import json
import os
import pty
import shutil
import signal
import subprocess
from base64 import b64encode
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard

from collector.dead_letters.letter_selection import LetterSelection
from collector.dead_letters.redrive import redrive
from collector.settings import load_settings
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, eventually, read_log, running
from tests.wal.logs import damage
from wal.format import HEADER_BYTES
from wal.log import Log

SETTINGS = """
[server]
port = {port}
workers = {workers}
[[property]]
portal_id = 33167
prop_id = 564990801
required = {required}
redirect_hosts = ["shop.example.com"]
[[property]]
portal_id = 33167
prop_id = 2
ip = "drop"
user_agent = "drop"
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.2
"""


def _settings(required: str = '["ea", "ec"]') -> str:
    return SETTINGS.replace("{required}", required)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with settings that are laxer than those that filled its dead letters."""
    Collector(tmp_path, workers=1, settings=_settings())
    return tmp_path


def _letter(number: int, body: str, **members: object) -> bytes:
    known = {"id": f"dead-{number}", "received_at": 1_700_000_000_000 + number, "portal_id": 33167, "form": "json"}
    text = {"reason": "was wrong", "errors": [], "encoding": "utf-8", "raw": body, "prop_id": 564990801}
    return json.dumps({**known, **text, **members}).encode() + b"\n"


def _write(folder: Path, *letters: bytes, shard: str = "00") -> None:
    log = Log(str(folder / f"data/dead/{shard}"))
    log.commit(b"".join(letters), len(letters))
    log.close()


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAMS / "collector"), *arguments, "--config", str(folder / "collector.toml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)


def _redriven(folder: Path) -> list[dict[str, Any]]:
    return read_log(folder / "data/log")


def test_a_letter_that_passes_today_is_stored_as_it_came_with_what_was_known_of_it(folder: Path) -> None:
    known = {"ip": "192.0.2.7", "user_agent": "till/1", "referer": "https://shop.example.com/", "s2s": True}
    _write(folder, _letter(1, '{"ea":"sale","ec":"till","n":1.50}', **known))
    assert _run(folder, "redrive").stdout.startswith("redriven: 1 dead letters, 1 events\n")
    (record,) = _redriven(folder)
    assert {name: record[name] for name in known} == known
    assert record["received_at"] == 1_700_000_000_001
    assert record["warnings"] == ["redriven from dead letter dead-1"]
    assert record["event"] == {"ea": "sale", "ec": "till", "n": 1.5}


def test_privacy_of_today_is_applied(folder: Path) -> None:
    event = '{"ea":"a","ec":"c","sid":1,"aid":"a","uid":"u"}'
    _write(folder, _letter(1, event, prop_id=2, ip="192.0.2.7", user_agent="till/1"))
    _run(folder, "redrive")
    (record,) = _redriven(folder)
    assert (record["ip"], record["user_agent"]) == (None, None)


def test_privacy_of_today_is_applied_inside_the_event(folder: Path) -> None:
    event = '{"ea":"a","ec":"c","sid":1,"aid":"a","uid":"u","context":{"ip":"192.0.2.7","userAgent":"till/1"}}'
    _write(folder, _letter(1, event, prop_id=2))
    _run(folder, "redrive")
    (record,) = _redriven(folder)
    assert record["event"]["context"] == {}


def test_what_a_redirect_rule_refuses_still_is_not_stored(folder: Path) -> None:
    query = "portal_id=33167&prop_id=564990801&resp_type=redirect&ea=click&ec=c&redirect_url=https://"
    elsewhere = {"code": "invalid_redirect", "reason": "a host that is not listed"}
    _write(
        folder,
        _letter(1, query + "evil.example.net", form="query", **elsewhere),
        _letter(2, query + "shop.example.com/listed-since", form="query", **elsewhere),
        _letter(3, query.replace("ea=click", "ea=view") + "shop.example.com", form="query", code="not_a_click"),
        _letter(4, '{"ea":"click","ec":"c"}', **elsewhere),
        _letter(5, query + "partner.example.net/signed-then", form="query", code="invalid_event"),
        _letter(6, query.replace("ea=click", "ea=view") + "shop.example.com", form="query", code="invalid_event"),
        _letter(7, "ea=click&ec=c", form="form", **elsewhere),
    )
    assert _run(folder, "redrive").stdout.splitlines() == [
        "redriven: 2 dead letters, 2 events",
        "redriven earlier: 0",
        "of a property that was removed: 0",
        "still refused: 5",
        "  2: a host that is not listed",
        "  1: redirect_url leads to a host that this property does not list "
        "(redirect_url: redirect_url leads to a host that this property does not list)",
        "  1: a redirect needs one click event",
        "  1: a redirect needs a click event: ea or ec must be click",
    ]
    assert [record["received_at"] for record in _redriven(folder)] == [1_700_000_000_002, 1_700_000_000_005]


def test_a_second_run_stores_nothing_again(folder: Path) -> None:
    _write(folder, _letter(1, '{"ea":"a","ec":"c"}'), _letter(2, "{"))
    first, second = _run(folder, "redrive"), _run(folder, "redrive")
    assert first.stdout.splitlines()[:2] == ["redriven: 1 dead letters, 1 events", "redriven earlier: 0"]
    assert second.stdout.splitlines()[:2] == ["redriven: 0 dead letters, 0 events", "redriven earlier: 1"]
    assert len(_redriven(folder)) == 1


def test_the_report_says_why_letters_are_still_refused_and_what_has_no_property(folder: Path) -> None:
    _write(folder, _letter(1, "{"), _letter(2, '{"ea":"a"}'), _letter(3, '{"ea":"a"}'), _letter(4, "{}", prop_id=9))
    printed = _run(folder, "redrive").stdout.splitlines()
    assert printed[2:] == [
        "of a property that was removed: 1",
        "still refused: 3",
        "  2: the event failed validation (ec: missing)",
        "  1: the body is not JSON: Input data was truncated",
    ]


def test_only_selected_letters_are_redriven(folder: Path) -> None:
    _write(folder, *(_letter(number, '{"ea":"a","ec":"c"}', reason=f"reason {number % 2}") for number in range(4)))
    printed = _run(folder, "redrive", "--where", "reason=reason 1").stdout
    assert printed.startswith("redriven: 2 dead letters")
    assert [record["received_at"] for record in _redriven(folder)] == [1_700_000_000_001, 1_700_000_000_003]


def test_a_selection_is_frozen_by_the_ends_of_the_logs_of_dead_letters(folder: Path) -> None:
    _write(folder, _letter(1, '{"ea":"a","ec":"c"}'), _letter(2, '{"ea":"a","ec":"c"}'))
    log_id = json.loads((folder / "data/dead/00/log.json").read_bytes())["log_id"]
    _write(folder, _letter(3, '{"ea":"a","ec":"c"}'))
    _write(folder, _letter(4, '{"ea":"a","ec":"c"}'), shard="01")
    assert _run(folder, "redrive", "--until-seq", f"{log_id}=3").stdout.startswith("redriven: 2 dead letters")
    assert [record["received_at"] for record in _redriven(folder)] == [1_700_000_000_001, 1_700_000_000_002]


def test_letters_are_chosen_by_their_first_fault_and_by_their_ids(folder: Path) -> None:
    missing = [{"field": "sid", "code": "missing", "message": "missing"}]
    _write(folder, *(_letter(number, '{"ea":"a","ec":"c"}', errors=missing * (number % 2)) for number in range(6)))
    chosen = ("--reason", "sid: missing", "--id", "dead-1", "--id", "dead-2", "--id", "dead-3")
    assert _run(folder, "redrive", *chosen).stdout.startswith("redriven: 2 dead letters")
    assert [record["received_at"] for record in _redriven(folder)] == [1_700_000_000_001, 1_700_000_000_003]


def test_a_dry_run_counts_what_would_pass_now_and_stores_nothing(folder: Path) -> None:
    _write(folder, _letter(1, '{"ea":"a","ec":"c"}'), _letter(2, "{"), _letter(3, '{"ea":"a","ec":"c"}'))
    _run(folder, "redrive", "--id", "dead-1")
    printed = _run(folder, "redrive", "--dry-run")
    assert printed.stdout.splitlines()[:2] == ["would be redriven: 1 dead letters, 1 events", "redriven earlier: 1"]
    assert len(_redriven(folder)) == 1


def test_a_program_gets_progress_and_result_as_lines_of_json(folder: Path) -> None:
    _write(folder, _letter(1, '{"ea":"a","ec":"c"}'), _letter(2, "{"))
    progress, result = map(json.loads, _run(folder, "redrive", "--json").stdout.splitlines())
    assert progress["progress"]["redriven"] == 1
    assert {name: result["result"][name] for name in ("letters", "redriven", "events")} == {
        "letters": 2,
        "redriven": 1,
        "events": 1,
    }
    assert sum(result["result"]["refused"].values()) == 1


def test_queries_bytes_and_letters_in_parts_are_read_again(folder: Path) -> None:
    event = json.dumps({"ea": "a", "ec": "long", "x": "y" * 1000})
    _write(
        folder,
        _letter(1, "ea=open&ec=mail&dims={%22a%22:1}&portal_id=1", form="query"),
        _letter(2, "eyJlYSI6ImEiLCJlYyI6ImJhc2U2NCJ9", encoding="base64"),
        _letter(3, event[:700], part=1, of=2),
        _letter(4, event[700:], part=2, of=2),
        _letter(5, '[{"ea":"a","ec":"1"},{"ea":"a","ec":"2"}]'),
        _letter(6, '{"ea":"a","ec":"3"}\n{"ea":"a","ec":"4"}', form="ndjson"),
    )
    assert _run(folder, "redrive").stdout.startswith("redriven: 5 dead letters, 7 events\n")
    events = [record["event"] for record in _redriven(folder)]
    assert events[0] == {"ea": "open", "ec": "mail", "dims": {"a": 1}}
    assert [event["ec"] for event in events] == ["mail", "base64", "long", "1", "2", "3", "4"]


def test_a_compressed_letter_is_read_again_whole_and_in_parts_and_shown(folder: Path) -> None:
    event = b'{"ea":"a","ec":"zstd","x":"%b"}' % (b"y" * 1000)
    frame = zstandard.compress(event)
    whole, *cut = (b64encode(part).decode() for part in (frame, frame[:10], frame[10:]))
    _write(
        folder,
        _letter(1, whole, encoding="zstd+base64"),
        *(_letter(at, part, encoding="zstd+base64", part=at - 1, of=2) for at, part in enumerate(cut, 2)),
    )
    assert _run(folder, "redrive").stdout.startswith("redriven: 2 dead letters, 2 events\n")
    assert [record["event"] for record in _redriven(folder)] == [json.loads(event)] * 2
    for name in ("dead-1", "dead-2"):
        assert _run(folder, "dead", "show", name).stdout.endswith(f"\n}}\n{event.decode()}\n")


@pytest.mark.parametrize("encoding", ["base64", "zstd+base64"])
def test_letters_whose_bytes_can_not_be_decoded_are_counted_and_passed_over(folder: Path, encoding: str) -> None:
    _write(folder, _letter(1, "x", encoding=encoding), _letter(2, '{"ea":"a","ec":"c"}'))
    ended = _run(folder, "redrive")
    assert ended.stdout.startswith("redriven: 1 dead letters, 1 events\n")
    assert "1 lines are not dead letters and were passed over" in ended.stderr


@pytest.mark.parametrize("form", ["query", "form"])
def test_a_query_or_form_with_more_parameters_than_are_read_is_never_stored_in_part(folder: Path, form: str) -> None:
    pairs = "ea=a&ec=c" + "".join(f"&p{number}=1" for number in range(1100))
    _write(folder, _letter(1, pairs, form=form), _letter(2, "ea=a&ec=c", form=form))
    printed = _run(folder, "redrive").stdout.splitlines()
    assert printed[0] == "redriven: 1 dead letters, 1 events"
    assert printed[3:] == ["still refused: 1", "  1: the query or the form has too many parameters"]
    assert [record["event"] for record in _redriven(folder)] == [{"ea": "a", "ec": "c"}]


def test_parts_are_put_together_within_their_log_and_never_over_a_gap(folder: Path) -> None:
    first, second = (_letter(1, '{"ea":"a",', part=1, of=2), _letter(2, '"ec":"c"}', part=2, of=2))
    _write(folder, first)
    _write(folder, _letter(1, '{"ea":"a","ec":"between"}', id="other-1"), shard="01")
    _write(folder, second)
    _write(folder, _letter(5, '{"ea":"lost",', part=1, of=2), _letter(7, '"ec":"lost"}', part=2, of=2))
    assert _run(folder, "redrive").stdout.startswith("redriven: 2 dead letters, 2 events\n")
    assert sorted(record["event"]["ec"] for record in _redriven(folder)) == ["between", "c"]
    assert len(_listed(folder)) == 2


def _listed(folder: Path, *options: str) -> list[list[str]]:
    """The cells of each letter that `collector dead ls` lists."""
    head, *lines = _run(folder, "dead", "ls", *options).stdout.splitlines()
    assert head.split("\t") == ["id", "received (UTC)", "property", "bytes", "reason", "fields"]
    return [line.split("\t") for line in lines]


def test_the_list_is_json_for_programs_and_has_all_but_the_body(folder: Path) -> None:
    fault = [{"field": "sid", "code": "missing", "message": "missing"}]
    _write(folder, _letter(1, '{"ea":1}', errors=fault))
    (line,) = _run(folder, "dead", "ls", "--json").stdout.splitlines()
    letter = json.loads(line)
    assert (letter["id"], letter["received_at"], letter["errors"]) == ("dead-1", 1_700_000_000_001, fault)
    assert letter["bytes"] == 8
    assert not {"raw", "encoding", "part", "of"} & set(letter)


@pytest.mark.parametrize("count", ["-1", "x"])
def test_a_number_of_letters_that_is_none_is_a_wrong_call(folder: Path, count: str) -> None:
    ended = _run(folder, "dead", "ls", "-n", count)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"'{count}' is not a number of events" in ended.stderr


def test_a_terminal_obeys_nothing_that_a_client_sent(folder: Path) -> None:
    _write(folder, _letter(1, "Hà\x1b[2J\x9b\u202e\n{", user_agent="\x9b2J"))
    master, slave = pty.openpty()
    command = [str(PROGRAMS / "collector"), "dead", "show", "dead-1", "--config", str(folder / "collector.toml")]
    subprocess.run(command, stdout=slave, check=True, timeout=PATIENCE_SECONDS)
    os.close(slave)
    shown = os.read(master, 1 << 16).decode()
    os.close(master)
    assert shown.splitlines()[-2:] == ["Hà\\u001b[2J\\u009b\\u202e", "{"]
    assert all(char.isprintable() for line in shown.splitlines() for char in line)


def test_a_line_of_the_list_is_one_letter_whatever_a_client_sent(folder: Path) -> None:
    fault = [{"field": "\x9b\u202e\x7f", "message": "unknown"}]
    _write(folder, _letter(1, "{", reason="bad\x1b[2J\ndead-2\t\u2028đ", errors=fault))
    ((*_, reason, fields),) = _listed(folder)
    assert (reason, fields) == ("bad\\u001b[2J\\ndead-2\\t\\u2028đ", "\\u009b\\u202e\\u007f")


def test_a_pipe_gets_the_bytes_that_a_client_sent(folder: Path) -> None:
    body = b"\x1b[2J\x9b\xff\r\n\t"
    _write(folder, _letter(1, b64encode(body).decode(), encoding="base64", user_agent="\x7f\x9b"))
    command = [str(PROGRAMS / "collector"), "dead", "show", "dead-1", "--config", str(folder / "collector.toml")]
    shown = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE_SECONDS).stdout
    assert shown.endswith(b"\n}\n" + body + b"\n")
    head = shown.removesuffix(body + b"\n")
    assert json.loads(head)["user_agent"] == "\x7f\x9b"
    assert b"\x7f" not in head


def test_a_plan_that_was_never_carried_out_does_not_hide_its_letters(folder: Path) -> None:
    _write(folder, _letter(1, '{"ea":"a","ec":"c"}'))
    settings = load_settings(str(folder / "collector.toml"))
    log = Log(str(folder / "data/log/redrive"))
    ledger = Log(str(folder / "data/log/redrive/ledger"))
    ledger.commit(b'{"log_id":"%b","sequence":1,"letters":["dead-1"]}\n' % log.log_id, 1)
    ledger.close()
    log.close()
    for expected in ((1, 0), (0, 1)):
        report = redrive(settings, LetterSelection(), lambda _: None)
        assert (report.redriven, report.earlier) == expected


def test_what_to_do_about_a_damaged_ledger_is_said_and_works(folder: Path) -> None:
    _write(folder, _letter(1, '{"ea":"a","ec":"c"}'))
    assert _run(folder, "redrive").returncode == 0
    ledger = folder / "data/log/redrive/ledger"
    damage(next(ledger.glob("seg-*")), 2 * HEADER_BYTES + 2)
    _write(folder, _letter(2, '{"ea":"b","ec":"c"}'))
    for options in (["--dry-run"], [], []):
        ended = _run(folder, "redrive", *options)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "redrive/ledger: at byte 148: expected which letters were redriven, found damage" in ended.stderr
        assert "move this folder out of log.dir" in ended.stderr
    ledger.rename(folder / "ledger")
    for expected in ((1, 0), (0, 1)):
        report = redrive(
            load_settings(str(folder / "collector.toml")), LetterSelection(ids=frozenset({"dead-2"})), lambda _: None
        )
        assert (report.redriven, report.earlier) == expected
    assert [record["event"]["ea"] for record in _redriven(folder)] == ["a", "b"]


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("call", ["fdatasync", "rename"])
def test_wherever_it_is_killed_the_next_run_stores_each_letter_once(folder: Path, call: str) -> None:
    """Kills it at its first call of this kind, at the second, and so on until it lives to its end."""
    _write(folder, *(_letter(number, json.dumps({"ea": "a", "ec": "c", "n": number})) for number in range(3)))
    killed = 0
    while _is_killed_at(folder, call, killed + 1):
        killed += 1
        assert _run(folder, "redrive").returncode == 0
        assert Counter(record["event"]["n"] for record in _redriven(folder)) == Counter(range(3)), killed
        shutil.rmtree(folder / "data/log")
    assert killed > 1


def _is_killed_at(folder: Path, call: str, number: int) -> bool:
    inject = f"inject={call}:signal=SIGKILL:when={number}"
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
    program = [str(PROGRAMS / "collector"), "redrive", "--config", str(folder / "collector.toml")]
    return subprocess.run([*strace, *program], stdout=subprocess.DEVNULL, check=False).returncode == -signal.SIGKILL


def test_a_running_collector_ships_what_was_redriven_once(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, settings=_settings('["ea", "ec", "sid"]')) as collector:
        assert collector.post({"ea": "a", "ec": "till"}).status == 400
        Collector(tmp_path, workers=1, settings=_settings())
        assert _run(tmp_path, "redrive").stdout.startswith("redriven: 1 dead letters")
        eventually(collector.shipped, "the event is shipped")
        collector.stop()
        assert [record["event"] for record in collector.shipped()] == [{"ea": "a", "ec": "till"}]


def test_a_redrive_gets_its_log_from_a_collector_whose_sink_is_down(tmp_path: Path) -> None:
    settings = _settings() + '[[sink]]\ntype = "file"\nname = "down"\ndir = "taken/down"\n'
    (tmp_path / "taken").write_text("no folder, so nothing can be put below it")
    with running(tmp_path, workers=1, settings=settings) as collector:
        for number in (1, 2):
            _write(tmp_path, _letter(number, '{"ea":"a","ec":"c"}'), shard=f"of-test-{number}")
            printed = _run(tmp_path, "redrive")
            assert printed.stdout.startswith("redriven: 1 dead letters, 1 events\n"), printed.stderr
            eventually(lambda: len(collector.shipped()) == number, "the sink that is up has it")  # noqa: B023


def test_the_list_names_each_letter_and_show_prints_it_whole(folder: Path) -> None:
    fault = [{"field": "sid", "code": "missing", "message": "missing"}]
    _write(folder, _letter(1, '{"ea":1}', errors=fault), _letter(2, "x", reason="other"))
    assert [cells[0] for cells in _listed(folder, "--where", "reason=other")] == ["dead-2"]
    assert _listed(folder)[0] == ["dead-1", "2023-11-14T22:13:20Z", "33167/564990801", "8", "was wrong", "sid"]
    assert len(_listed(folder, "-n", "1")) == 1
    shown = _run(folder, "dead", "show", "dead-1").stdout
    assert json.loads(shown[: shown.rindex("}\n{") + 1])["errors"] == fault
    assert shown.endswith('\n{"ea":1}\n')


def test_a_letter_that_is_not_there_is_an_error_that_says_so(folder: Path) -> None:
    _write(folder, _letter(1, "{}"))
    ended = _run(folder, "dead", "show", "dead-9")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no dead letter dead-9" in ended.stderr
