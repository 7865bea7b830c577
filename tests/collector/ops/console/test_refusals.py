"""The codes of the admin address stand in the documentation, with their statuses."""

import re

from collector.ops.console.refusals import CONSOLE_STATUS
from tests.docs.pages import DOCS


def test_the_documentation_has_every_code_and_no_other() -> None:
    page = (DOCS / "reference/admin-address.md").read_text().partition("{ #codes }")[2]
    assert {code: int(status) for code, status in re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.MULTILINE)} == (
        CONSOLE_STATUS
    )
