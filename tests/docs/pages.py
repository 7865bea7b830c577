"""Pages of the documentation as values: front matter, blocks of code, anchors."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
COPIES = ("docs/project/", "docs/reference/log-format.md")
"""Pages that are files of the repository, which have tests of their own."""
_FENCE = re.compile(
    r"(?:^ *<!-- skip: (?P<skip>[^\n]+?) -->\n\n?)?"
    r'^(?P<indent> *)```(?P<language>[a-z]*)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^(?P=indent)```$',
    re.DOTALL | re.MULTILINE,
)
_ANCHOR = re.compile(r'\{ #([^ }]+) \}|id="([^"]+)"')


class Block(NamedTuple):
    """A fenced block; `title` is the name of the file that it is, `skip` the reason why it is not run."""

    language: str
    title: str
    text: str
    skip: str


class Page(NamedTuple):
    """A page: its path below the repository, its front matter, and its Markdown without that."""

    name: str
    about: dict[str, str]
    text: str

    @property
    def blocks(self) -> list[Block]:
        """Every fenced block in order."""
        return [_block(found) for found in _FENCE.finditer(self.text)]

    @property
    def anchors(self) -> set[str]:
        """The anchors that the page names itself."""
        return {first or second for first, second in _ANCHOR.findall(self.text)}

    @property
    def prose(self) -> str:
        """The page without its blocks of code and its code spans."""
        return re.sub(r"`[^`\n]+`", "", _FENCE.sub("", self.text))


def pages() -> Iterator[Page]:
    """Every page of the site."""
    for path in sorted(DOCS.rglob("*.md")):
        yield read_page(path)


def page(name: str) -> Page:
    """The page at this path below docs/."""
    return read_page(DOCS / name)


def read_page(path: Path) -> Page:
    """The page in a file."""
    text = path.read_text()
    about = {}
    if text.startswith("---\n"):
        front, _, text = text.removeprefix("---\n").partition("\n---\n")
        about = yaml.safe_load(front)
    return Page(path.relative_to(ROOT).as_posix(), about, text)


def _block(found: re.Match[str]) -> Block:
    text = textwrap.dedent(found["text"])
    return Block(found["language"], found["title"] or "", text, found["skip"] or "")
