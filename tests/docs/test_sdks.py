"""The pages about SDKs show the lines of the programs that tests run."""

from tests.clients.installed import PROGRAMS
from tests.clients.sdks import SDKS
from tests.clients.snippets import snippet
from tests.docs.pages import pages

_REASON = "tests/clients runs it"


def test_each_sdk_that_is_tried_has_its_lines_on_one_page_and_each_page_shows_nothing_else() -> None:
    shown = sorted(block.text for page in pages() for block in page.blocks if block.skip == _REASON)
    assert shown == sorted(snippet(PROGRAMS / program) for program in {sdk.program for sdk in SDKS})
