"""Pages and the parts between their markers, `<!-- generated: NAME -->` and `<!-- end of generated -->`."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tools.docs.parts import all_parts
from tools.docs.pictures import pictures

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
_PART: Final = re.compile(r"(<!-- generated: ([\w.-]+) -->\n)(.*?)(<!-- end of generated -->)", re.DOTALL)


def pages() -> Iterator[Path]:
    """The Markdown files that may hold generated parts: the pages of the site, and the README."""
    yield ROOT / "README.md"
    yield from sorted(DOCS.rglob("*.md"))


def generated_files() -> dict[Path, str]:
    """Every page with its parts made anew, and every generated picture. Raises KeyError for an unknown part."""
    parts = all_parts()
    written = {path: filled(path.read_text(), parts) for path in pages()}
    return written | {DOCS / "img" / name: text for name, text in pictures().items()}


def filled(text: str, parts: Mapping[str, str]) -> str:
    """A page whose marked parts are replaced by those of these names."""
    return _PART.sub(lambda found: f"{found[1]}\n{parts[found[2]].strip()}\n\n{found[4]}", text)


def names_of_parts(text: str) -> list[str]:
    """The names of the parts that a page holds."""
    return [name for _, name, _, _ in _PART.findall(text)]


def write(path: Path, text: str) -> bool:
    """Write a file if its content differs; returns whether it did."""
    if path.exists() and path.read_text() == text:
        return False
    path.write_text(text)
    return True
