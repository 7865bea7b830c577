"""The runbook is rehearsed: each fault makes its alert hold and its lines come, and ends by what its page says."""

import logging
from pathlib import Path

import pytest

from collector.process_log.event import name_of
from collector.process_log.table import EVENTS
from tests.deploy.prometheus import with_prometheus
from tests.docs.pages import DOCS
from tests.docs.rehearsals.runbook_page import RunbookPage
from tests.docs.rehearsals.stage import on_stage
from tests.docs.rehearsals.table import NOT_REHEARSED, NOT_RUN, NOT_SEEN, REHEARSALS
from tools.docs.alerts import rules


@with_prometheus
@pytest.mark.torture
@pytest.mark.parametrize("name", REHEARSALS)
def test_a_fault_is_seen_and_ends_as_its_page_says(name: str, tmp_path: Path) -> None:
    with on_stage(name, tmp_path) as stage:
        REHEARSALS[name].act(stage)
        assert stage.seen == set(REHEARSALS[name].events)
        assert stage.page.commands - stage.ran - NOT_RUN.keys() == set(), "commands of the page that nobody ran"


def test_each_page_is_rehearsed_or_has_a_reason_why_not() -> None:
    pages = {path.stem for path in (DOCS / "runbook").glob("*.md")}
    assert sorted([*REHEARSALS, *NOT_REHEARSED]) == sorted(pages)
    assert rules().keys() <= REHEARSALS.keys(), "each alert is rehearsed"


def test_each_warning_is_seen_in_a_rehearsal_or_has_a_reason_why_not() -> None:
    warnings = {name_of(event) for event in EVENTS if event.level >= logging.WARNING}
    seen = {event for rehearsal in REHEARSALS.values() for event in rehearsal.events}
    assert seen | NOT_SEEN.keys() == warnings
    assert seen & NOT_SEEN.keys() == set()


def test_a_command_that_is_not_run_is_on_a_page() -> None:
    assert NOT_RUN.keys() <= {command for name in REHEARSALS for command in RunbookPage(name).commands}
