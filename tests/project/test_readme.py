"""The README says what is so: its settings, statuses and commands are read from it and tried."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import duckdb
import msgspec
import pytest
import zstandard

from collector.errors import FieldCode, Refusal
from collector.http.response import refusal_body
from collector.http.status import STATUS
from collector.ingest.event import Event
from collector.ingest.field_types import field_schemas
from collector.ingest.policy.privacy import ADDRESSES, USER_AGENTS
from collector.ingest.query import PARAMETERS
from collector.ops.readiness import NotReady
from collector.settings import Settings
from collector.settings.sinks import SINK_KINDS, SinkSettings, sink_settings
from tests.collector.ship.batches import record
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, eventually, running

_ROOT = Path(__file__).parents[2]
_README = (_ROOT / "README.md").read_text()
_DEMO = (
    (_ROOT / "collector.toml")
    .read_text()
    .replace("8080", "{port}")
    .replace("8081", "0")
    .replace("workers = 2", "workers = {workers}")
)


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", _README, re.DOTALL)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """The demo configuration, on a port of its own, with one event from the README's curl."""
    with running(tmp_path_factory.mktemp("demo"), settings=_DEMO) as collector:
        command = next(block for block in _blocks("sh") if "curl" in block).replace("8080", str(collector.port))
        printed = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True).stdout
        assert re.fullmatch(r'_event_callback_data\(\{"dgs":.*\}\);', printed)
        yield collector


def test_the_event_of_the_curl_command_is_printed_by_wal_cat(demo: Collector) -> None:
    printed = _sh(demo, f"{PROGRAMS}/wal cat data/log")
    assert '"uid":"u-8812"' in printed


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed; .ci/run installs it")
def test_the_live_segment_can_be_followed_with_tail_and_jq(demo: Collector) -> None:
    command = next(line for block in _blocks("sh") for line in block.splitlines() if line.startswith("tail"))
    assert "current.ndjson" in command
    once = command.partition("#")[0].replace("-qF", "-q -n +1")
    assert '"uid":"u-8812"' in _sh(demo, once)


def test_the_query_reads_what_the_file_sink_wrote(demo: Collector) -> None:
    eventually(demo.shipped, "the event is in the files")
    query = _blocks("sql")[0].replace("data/events", str(demo.folder / "data/events"))
    with duckdb.connect() as connection:
        assert connection.execute(query).fetchall() == [("view", 1, 1)]


ODD_EVENTS = (
    b'{"ea":"view","EA":"other"}',
    b'{"ea":"view","ea":"view"}',
    b'{"ea":"view","context":{"ip":1,"IP":{"a":[]},"ip":[]},"Context":7}',
    b'{"ea":"view","":1,"":2,"n":1e400,"m":%b}' % (b"9" * 400),
)


@pytest.mark.parametrize("events", [[each] for each in ODD_EVENTS] + [list(ODD_EVENTS)])
def test_the_query_reads_members_that_come_twice_or_differ_in_case_alone(tmp_path: Path, events: list[bytes]) -> None:
    assert _asked(tmp_path, [record(at, event=event) for at, event in enumerate(events, 1)]) == [
        ("view", len(events), 1),
    ]


def _asked(folder: Path, lines: list[bytes]) -> list[Any]:
    """What the README's query answers where the file sink wrote these lines."""
    hour = folder / "date=2024-05-01/hour=11"
    hour.mkdir(parents=True)
    (hour / "a.ndjson.zst").write_bytes(zstandard.compress(b"".join(lines)))
    (query,) = _blocks("sql")
    with duckdb.connect() as connection:
        return connection.execute(query.replace("data/events", str(folder))).fetchall()


def test_the_table_of_settings_is_that_of_the_code() -> None:
    section = _README.partition("## Settings")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]*)` \| (.*?) \| (.*) \|$", section, re.MULTILINE)
    assert rows == settings_table()


def test_the_table_of_query_parameters_is_that_of_the_code() -> None:
    rows = [[f"`{name}`", parameter.description] for name, parameter in PARAMETERS.items()]
    assert _table("| query parameter | value |") == rows


def test_the_table_of_event_fields_is_that_of_the_code() -> None:
    rows = [[f"`{name}`", schema["description"]] for name, schema in field_schemas(Event).items()]
    assert _table("| event field | rule |")[: len(rows)] == rows


def test_the_readme_names_every_member_that_privacy_removes() -> None:
    section = _README.partition("**Privacy inside the event.**")[2].partition("\n\n")[0]
    addresses, agents = section.partition("Addresses: ")[2].split("User agents:")
    for listed, names in ((addresses, ADDRESSES), (agents, USER_AGENTS)):
        assert re.findall(r"`(\w+)`", listed) == sorted(name.decode() for name in names)


def test_the_table_of_statuses_and_codes_is_that_of_the_code() -> None:
    rows = _table("| status | code | when | what to do |")
    refusals = [(int(status), code) for status, code, *_ in rows if int(status) >= 400]
    assert sorted(refusals) == sorted((status, _code_of(Refusal(code, ""))) for code, status in STATUS.items())
    assert all(when and what_to_do for status, _, when, what_to_do in rows if int(status) >= 400)


def _code_of(refusal: Refusal) -> str:
    """The code in the body of a refusal, as the README writes it."""
    code = msgspec.json.decode(refusal_body(refusal)).get("code")
    return f"`{code}`" if code else "\u2013"


def test_the_readme_names_every_reason_why_a_worker_is_not_ready() -> None:
    health = _README.partition("- **Health.**")[2].partition("\n- **")[0]
    assert [reason for reason in NotReady if f"`{reason}`" not in health] == []


def test_the_table_of_the_codes_of_fields_is_that_of_the_code() -> None:
    rows = _table("| code of a field | when |")
    assert [code for code, _ in rows] == [f"`{code}`" for code in FieldCode]
    assert all(when for _, when in rows)


def _table(head: str) -> list[list[str]]:
    """The cells of the table with this head."""
    lines = _README.partition(head)[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]


def settings_table() -> list[tuple[str, str, str]]:
    """The rows that the README must have: name, default, meaning."""
    include, *tables = msgspec.structs.fields(Settings)
    return [_row("include", include), *(row for name, group in _groups(tables) for row in _rows(name, group))]


def _groups(tables: list[Any]) -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """The settings by their place in the file; of the sinks, a group for each type."""
    for field in tables:
        if field.name == "sink":
            yield from ((f"sink[{kind}]", sink_settings(kind)) for kind in SINK_KINDS)
        elif get_args(field.type):
            yield f"{field.name}[]", get_args(field.type)[0]
        else:
            yield field.name, field.type


def _rows(group: str, kind: type[msgspec.Struct]) -> Iterator[tuple[str, str, str]]:
    """Of a sink its own settings come first, and of those the required ones."""
    if tag := kind.__struct_config__.tag:
        yield f"{group}.type", f'`"{tag}"`', (kind.__doc__ or "").strip()
    fields = list(msgspec.structs.fields(kind))
    if issubclass(kind, SinkSettings):
        fields.sort(key=lambda field: (field.name in SinkSettings.__struct_fields__, not field.required))
    yield from (_row(f"{group}.{field.name}", field) for field in fields)


def _row(name: str, field: Any) -> tuple[str, str, str]:
    meta = next(each for each in reversed(get_args(field.type)) if isinstance(each, msgspec.Meta))
    return name, _shown(field), meta.description or ""


def _shown(field: Any) -> str:
    if field.name == "workers":
        return "CPUs"
    if field.required:
        return "required"
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return "none" if default in (None, (), {}) else f"`{msgspec.json.encode(default).decode()}`"


def _sh(demo: Collector, command: str) -> str:
    done = subprocess.run(
        ["sh", "-c", command], cwd=demo.folder, check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    return done.stdout
