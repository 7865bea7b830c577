"""The tables of docs/reference/dialects.md are true to the code: what they say becomes of an event does."""

import json
import re
from collections.abc import Callable, Iterator

import pytest

from collector.ingest.dialects.dialect import Dialect
from collector.ingest.dialects.matomo.table import event_of as of_matomo
from collector.ingest.dialects.posthog.dialect import PostHog
from collector.ingest.dialects.segment.dialect import SegmentDialect
from collector.ingest.dialects.snowplow.table import event_of as of_snowplow
from collector.ingest.dialects.table import served
from collector.settings import ServerSettings
from collector.settings.fields import DIALECTS
from tests.collector.ingest.dialects.recorded import head_of
from tests.docs.pages import page

Fields = dict[str, str]
Event = dict[str, object]
_TEXT = page("reference/dialects.md").text
_SPAN = re.compile(r"`([^`]+)`")
_CODED = {"co", "cx", "ue_pr", "ue_px", "ec_items"}
"""Parameters that must be JSON."""
_UE = json.dumps(
    {
        "schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
        "data": {"schema": "iglu:com.example/seen/jsonschema/1-0-0", "data": {}},
    }
)
_BASE = {"e": "se", "se_ca": "c", "se_ac": "a"}


def _rows(section: str, head: str) -> list[list[str]]:
    """The rows of a table of a section, by the first cell of its head."""
    text = _TEXT.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    body = text.partition(f"\n| {head} |")[2].split("\n\n")[0].splitlines()[2:]
    assert body, (section, head)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body]


def _expected(cell: str, sent: Fields) -> str:
    """The value that a cell names: that of a member of what was sent, or a word."""
    (word,) = _SPAN.findall(cell)
    return sent[word] if cell.startswith("its ") else str(word)


def _of_dialect(dialect: Dialect, target: str, body: Event) -> Event:
    (event,) = dialect.events(head_of(target.encode()), json.dumps(body).encode())
    assert event.refusal is None
    made: Event = json.loads(event.event)
    return made


def test_each_dialect_has_a_section() -> None:
    assert {each.name for each in served(ServerSettings())} | {"cloudevents"} == set(DIALECTS)
    assert [name for name in DIALECTS if f"\n## {name}" not in _TEXT.lower()] == []


@pytest.mark.parametrize("row", _rows("Segment, RudderStack, Jitsu", "call"), ids=lambda row: row[0])
def test_a_call_of_segment_becomes_what_its_row_says(row: list[str]) -> None:
    kind = row[0].strip("`")
    sent = {"type": kind, "event": "Seen"}
    event = _of_dialect(SegmentDialect(), "/v1/batch", {"batch": [sent]})
    assert [event["ea"], event["ec"]] == [_expected(cell, sent) for cell in row[1:3]]


@pytest.mark.parametrize("row", _rows("Snowplow", "`e`"), ids=lambda row: row[0])
def test_an_event_of_snowplow_becomes_what_its_row_says(row: list[str]) -> None:
    sent = _BASE | {"e": row[0].strip("`"), "ue_pr": _UE}
    event = of_snowplow(sent)
    expected = ["seen", "com.example"] if sent["e"] == "ue" else [_expected(cell, sent) for cell in row[1:3]]
    assert [event["ea"], event["ec"]] == expected


@pytest.mark.parametrize("row", _rows("Matomo, Piwik", "the first that an event has"), ids=lambda row: row[0])
def test_an_event_of_matomo_becomes_what_its_row_says(row: list[str]) -> None:
    sent = {name: value or "1" for name, _, value in (span.partition("=") for span in _SPAN.findall(row[0]))}
    event = of_matomo(sent)
    assert [event["ea"], event["ec"]] == [_expected(cell, sent) for cell in row[1:3]]


@pytest.mark.parametrize("row", _rows("PostHog", "event"), ids=lambda row: row[0])
def test_an_event_of_posthog_becomes_what_its_row_says(row: list[str]) -> None:
    name = "".join(_SPAN.findall(row[0])) or "Seen"
    event = _of_dialect(PostHog(), "/e/", {"event": name, "distinct_id": "u", "properties": {"token": "shop"}})
    expected = [_SPAN.findall(row[1])[0] if _SPAN.findall(row[1]) else name, *_SPAN.findall(row[2])]
    assert [event["ea"], event["ec"]] == expected


def _places(section: str) -> Iterator[tuple[str, str]]:
    """Each parameter with its place, of the rows whose second cell is nothing else."""
    for first, second in _rows(section, "parameter"):
        names, targets = _SPAN.findall(first), _SPAN.findall(second)
        if second.startswith("`") and not _CODED & set(names):
            yield from zip(names, targets if len(targets) == len(names) else targets * len(names), strict=True)


@pytest.mark.parametrize(("section", "event_of"), [("Snowplow", of_snowplow), ("Matomo, Piwik", of_matomo)])
def test_a_parameter_goes_where_its_row_says(section: str, event_of: Callable[[Fields], Event]) -> None:
    places = dict(_places(section))
    assert len(places) > 10
    for name, place in places.items():
        found: object = event_of((_BASE if section == "Snowplow" else {}) | {name: "1"})
        whole, _, part = place.partition(".")
        assert isinstance(found, dict)
        inner = found.get(whole)
        assert whole in found, name
        assert not isinstance(inner, dict) or (part or name) in inner, name
