"""The lines of a program that a user of its SDK changes, as the documentation shows them."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

_BEGIN = "[set up]"
_END = "[end]"


def snippet(program: Path) -> str:
    """The lines between the marks of a program, without their indent."""
    return "".join(map(textwrap.dedent, _parts(program))).strip() + "\n"


def _parts(program: Path) -> Iterator[str]:
    for part in program.read_text().split(_BEGIN)[1:]:
        lines, end, _ = part.partition("\n")[2].partition(_END)
        assert end, f"{program.name}: {_BEGIN} without {_END}"
        yield lines.rpartition("\n")[0] + "\n"
