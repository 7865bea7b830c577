"""What a page of the runbook tells somebody to look at and to run. Pure but for reading the page."""

import re
from typing import Final

from tests.docs.pages import page

_PROGRAMS: Final = ("collector", "wal", "curl", "df", "du", "dmesg", "iostat", "openssl")
"""A code span that begins with one of these is a command, if it is no program's name in a sentence."""
_SPAN: Final = re.compile(r"`([^`\n]+)`")
_GENERATED: Final = re.compile(r"<!-- generated.*?<!-- end of generated -->", re.DOTALL)
_BLOCK: Final = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)


class RunbookPage:
    """A page of the runbook, by its name without `.md`."""

    def __init__(self, name: str) -> None:
        self.name = name
        text = _BLOCK.sub("", _GENERATED.sub("", page(f"runbook/{name}.md").text))
        before, _, after = text.partition("## If not")
        self.commands = {span for span in _SPAN.findall(before) if _is_command(span)}
        """The commands to decide, to fix and to check."""
        self.evidence = [span for span in _SPAN.findall(after.partition("## Why")[0]) if _is_command(span)]
        """The commands that keep the evidence."""
        self._rows = re.findall(r"^\| (.+?) \| .+ \|$", before, re.MULTILINE)

    def messages_of(self, cell: str) -> list[str]:
        """The messages in the first cell of a row, which must be on the page, without commands."""
        assert cell in self._rows, f"no row of {self.name} begins with {cell!r}"
        return [span for span in _SPAN.findall(cell) if not _is_command(span)]


def _is_command(span: str) -> bool:
    program, _, rest = span.partition(" ")
    return program in _PROGRAMS and bool(rest or program in ("df", "dmesg"))
