"""The codes of the admin address stand in the documentation with their statuses, and the paths of the console, too."""

import re

from collector.ops.console.api.refusals import CONSOLE_STATUS
from tests.docs.pages import DOCS, ROOT

_PAGE = (DOCS / "reference/admin-address.md").read_text()


def test_the_documentation_has_every_code_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", _PAGE.partition("{ #codes }")[2], re.MULTILINE)
    assert {code: int(status) for code, status in rows} == CONSOLE_STATUS


def test_the_documentation_has_every_path_and_no_other() -> None:
    source = "".join(file.read_text() for file in (ROOT / "collector/ops/console").rglob("*.py"))
    paths = {re.sub(r"{(\w+)}", lambda name: name[1].upper(), path) for path in re.findall(r'"(/api/[^"]+)"', source)}
    assert set(re.findall(r"^\| `(?:GET|POST|DELETE) (/api/\S+)` \|", _PAGE, re.MULTILINE)) == paths
