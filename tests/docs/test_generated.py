"""The generated parts are those that the code gives, and leave nothing out."""

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from collector.errors import FieldCode, Refusal
from collector.http.response import refusal_body
from collector.http.status import STATUS
from collector.ops.metric_table import BUILD, COMMIT_SECONDS, METRICS, STORED
from collector.ops.readiness import NotReady
from collector.process_log.event import name_of
from collector.process_log.table import EVENTS
from collector.server.exit_codes import PASSING_FAILURE, STARTUP_FAILURE
from collector.server.node_state import ProcessState
from collector.settings.effects import Effect
from collector.settings.sinks import SINK_KINDS
from tests.docs.contrast import contrast
from tests.docs.pages import DOCS, README, page
from tools.docs import pages as generator
from tools.docs.alerts import rules
from tools.docs.commands import names_of_commands
from tools.docs.errors import EXIT_CODES, EXPLAINED, FIELD_CODES
from tools.docs.examples import EXAMPLES
from tools.docs.metrics import readers
from tools.docs.parts import all_parts
from tools.docs.pictures import COLOURS, pictures
from tools.docs.process_log import by_page
from tools.docs.readiness import ADVICE
from tools.docs.settings import TAKES_EFFECT, names_of, tables
from tools.docs.sizing import cores_used, hours_until_full, peak

_SECTIONS = ["Meaning", "Impact", "Decide", "Fix", "Check", "If not", "Why"]
_CONTRAST = 4.5
"""The least contrast of text that WCAG allows."""


def test_generating_changes_nothing() -> None:
    stale = [str(path) for path, text in generator.generated_files().items() if path.read_text() != text]
    assert stale == [], "run `make docs-generate`"


def test_each_generated_part_stands_on_one_page() -> None:
    used = [name for path in generator.pages() for name in generator.names_of_parts(path.read_text())]
    assert sorted(used) == sorted(all_parts())


def test_an_unknown_part_is_an_error() -> None:
    with pytest.raises(KeyError, match="absent"):
        generator.filled("<!-- generated: absent -->\n<!-- end of generated -->", {})


def test_a_part_is_replaced_between_its_markers_alone() -> None:
    text = "before\n<!-- generated: a -->\nold\n<!-- end of generated -->\nafter"
    filled = generator.filled(text, {"a": "new\n"})
    assert filled == "before\n<!-- generated: a -->\n\nnew\n\n<!-- end of generated -->\nafter"
    assert generator.filled(filled, {"a": "new"}) == filled


def test_a_file_is_written_only_if_it_differs(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    assert [generator.write(path, "a"), generator.write(path, "a"), generator.write(path, "b")] == [True, False, True]


def test_each_setting_has_an_entry() -> None:
    names = {name for table, struct in tables().items() for name in names_of(table, struct)}
    assert len(names) > 70
    assert names <= page("reference/settings.md").anchors
    assert [each for each in all_parts()["settings.log"].split("### ") if each.rstrip().endswith("default")] == []


def test_each_code_has_an_entry_and_a_status() -> None:
    assert EXPLAINED.keys() == STATUS.keys()
    assert FIELD_CODES.keys() == set(FieldCode)
    assert EXAMPLES.keys() <= STATUS.keys()
    wanted = {*STATUS, *(f"field.{code}" for code in FieldCode), *(f"exit-code-{code}" for code in EXIT_CODES)}
    assert wanted <= page("reference/error-codes.md").anchors
    assert EXIT_CODES.keys() >= {0, 1, 2, STARTUP_FAILURE, PASSING_FAILURE, 130, 143}


def test_the_code_of_an_entry_is_that_of_the_body() -> None:
    without = [code for code in STATUS if "code" not in msgspec.json.decode(refusal_body(Refusal(code, "")))]
    assert without == ["not_found"], "its entry says that its body has no code"
    assert "without a `code`" in EXPLAINED["not_found"].cause


def test_each_command_has_an_entry() -> None:
    assert {name.replace(" ", "-") for name in names_of_commands()} <= page("reference/commands.md").anchors
    assert "collector sink ls" in names_of_commands()
    assert "wal verify" in names_of_commands()


def test_each_kind_of_sink_has_a_section() -> None:
    text = page("reference/sinks.md").text
    assert [kind for kind in SINK_KINDS if f"\n## {kind}\n" not in text] == []


def test_the_sizing_table_follows_the_formulas_of_its_page() -> None:
    assert round(peak(10**8)) == 4630
    assert cores_used(10**9) == pytest.approx(3.09, abs=0.01)
    assert round(hours_until_full(10**8)) == 30


@pytest.mark.parametrize("end", COLOURS)
def test_the_text_of_a_picture_can_be_read(end: str) -> None:
    colours = COLOURS[end]
    for text, ground in (("ink", "paper"), ("muted", "paper"), ("on-accent", "accent")):
        assert contrast(colours[text], colours[ground]) >= _CONTRAST


def test_a_picture_is_small_and_has_a_title_and_no_script() -> None:
    for text in pictures().values():
        assert len(text) < 12_000
        assert "<title" in text
        assert "<desc" in text
        assert not {"<script", "href"} & set(text.split())


def test_the_figures_of_the_readme_stand_with_their_commands_on_the_page_of_performance() -> None:
    head, _, row = README.read_text().partition("## Three figures\n\n")[2].splitlines()[:3]
    measured = (DOCS / "understand/performance.md").read_text()
    rate, _, delay = (cell.strip() for cell in head.strip("|").split("|"))
    for figure in (rate.partition(" ")[0], delay):
        assert figure in measured
    for cell in row.strip("|").split("|"):
        assert "`" in cell, "a figure names its command"


def test_each_metric_has_an_entry() -> None:
    assert {metric.name for metric in METRICS} <= page("reference/metrics.md").anchors


def test_a_metric_is_read_by_the_expressions_that_name_its_series() -> None:
    assert readers(STORED, {"In": ["rate(tracklog_events_stored_total[1m])"], "Out": ["tracklog_x"]}) == ["In"]
    assert readers(BUILD, {"Other": ["tracklog_build_information"]}) == []
    assert readers(COMMIT_SECONDS, {"Slow": ["rate(tracklog_commit_seconds_bucket[5m])"], "None": [""]}) == ["Slow"]


def test_each_event_of_the_process_log_has_an_entry() -> None:
    assert {name_of(event) for event in EVENTS} <= page("reference/process-log.md").anchors


def test_each_reason_of_a_node_that_is_not_ready_has_an_entry() -> None:
    assert ADVICE.keys() == set(NotReady)
    assert {f"reason-{reason}" for reason in NotReady} <= page("runbook/TracklogNotReady.md").anchors
    of_places = set(get_args(ProcessState)) - {"serving"}
    assert {f"reason-{reason}" for reason in of_places} <= page("reference/admin-address.md").anchors


def test_each_exit_code_of_a_failure_has_a_section_in_the_runbook() -> None:
    headings = re.findall(r"^## Exit (.*)$", page("runbook/it-does-not-start.md").text, re.MULTILINE)
    assert {int(code) for heading in headings for code in re.findall(r"\d+", heading)} == EXIT_CODES.keys() - {0}


def test_each_effect_of_a_changed_setting_has_words() -> None:
    assert TAKES_EFFECT.keys() == set(Effect)
    entries = [
        each for name, part in all_parts().items() if name.startswith("settings.") for each in part.split("### ")[1:]
    ]
    assert [entry for entry in entries if "takes effect at a re" not in entry] == []


def test_each_alert_and_each_event_that_names_a_page_has_one() -> None:
    pages = {path.stem for path in (DOCS / "runbook").glob("Tracklog*.md")}
    assert pages == rules().keys() | by_page().keys()
    for name, rule in rules().items():
        assert rule["annotations"]["runbook_url"].endswith(f"/runbook/{name}.html")


def test_each_of_these_pages_has_the_same_sections_and_at_most_four_rows_to_decide() -> None:
    for name in rules().keys() | by_page().keys():
        text = page(f"runbook/{name}.md").text
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == _SECTIONS
        assert 1 <= text.partition("## Decide")[2].partition("## Fix")[0].count("\n|") - 2 <= 4
