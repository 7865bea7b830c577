"""The texts: short where they must be, plain words, links that lead somewhere, nothing private."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import COPIES, DOCS, README, ROOT, Page, pages, read_page
from tests.running import PROGRAMS

_WORDS = ROOT / "tools/docs/words.txt"
_BANNED = re.compile(
    r"\b(simply|just|easy|easily|obviously|please note|we|our|will be supported|basically|seamless(ly)?)\b",
    re.IGNORECASE,
)
_PRIVATE = re.compile(r"/(?:root|home|work|tmp)/|\b10\.\d+\.\d+\.\d+\b(?!/)|\bAKIA[A-Z0-9]{12,}|-----BEGIN ")
_KINDS = {
    "start": "start",
    "guides": "guide",
    "runbook": "runbook",
    "reference": "reference",
    "understand": "understand",
}
_MOST_README_LINES = 150
_MOST_WORDS = 1500
_MOST_NEXT = 3
_PAGES = list(pages())
_OWN = [each for each in _PAGES if not each.name.startswith(COPIES)]


def _names(pages: list[Page]) -> list[str]:
    return [page.name for page in pages]


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= _MOST_README_LINES


@pytest.mark.parametrize("page", _PAGES, ids=_names(_PAGES))
def test_a_page_says_what_it_is(page: Page) -> None:
    assert page.about["kind"] == _KINDS.get(page.name.split("/")[1], page.about["kind"])
    assert page.about["kind"] in _KINDS.values()
    assert page.about["description"].endswith(".")
    assert len(re.findall(r"^# ", _FENCED.sub("", page.text), re.MULTILINE)) == 1


@pytest.mark.parametrize("page", _OWN, ids=_names(_OWN))
def test_a_page_is_plain(page: Page) -> None:
    assert _BANNED.findall(page.prose) == []
    assert "TODO" not in page.text
    assert _PRIVATE.findall(page.text) == []


@pytest.mark.parametrize("page", _OWN, ids=_names(_OWN))
def test_a_page_of_prose_is_no_longer_than_a_reader_s_patience(page: Page) -> None:
    written = re.sub(r"<!-- generated.*?<!-- end of generated -->", "", page.prose, flags=re.DOTALL)
    assert len(written.split()) <= _MOST_WORDS


@pytest.mark.parametrize("page", _OWN, ids=_names(_OWN))
def test_a_page_ends_with_at_most_three_links(page: Page) -> None:
    if page.about["kind"] == "runbook" and "## Why" in page.text:
        return
    _, _, end = page.text.rpartition("\n## Next\n")
    assert 1 <= len(re.findall(r"\]\(", end)) <= _MOST_NEXT


def test_each_page_is_in_the_navigation_and_no_group_is_long() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    listed = list(_listed(nav))
    assert sorted(listed) == sorted(page.name.removeprefix("docs/") for page in _PAGES)
    assert all(len(group) <= 12 for entry in nav for group in entry.values() if isinstance(group, list))


def _listed(entries: list[object]) -> list[str]:
    found: list[str] = []
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            found += _listed(value) if isinstance(value, list) else [str(value)]
    return found


@pytest.mark.parametrize("path", [README, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"], ids=lambda path: path.name)
def test_each_link_of_a_file_in_the_repository_leads_to_a_file(path: Path) -> None:
    links = re.findall(r'(?:\]\(|src(?:set)?=")(?!https?:|#)([^)"#]+)', path.read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_leads_to_the_pages_of_each_door() -> None:
    links = re.findall(r"\]\(docs/([a-z]+)/", README.read_text())
    assert set(links) == _KINDS.keys()


def test_the_words_are_spelt_right_and_the_list_of_own_words_is_used() -> None:
    files = [str(README), *map(str, sorted(DOCS.rglob("*.md")))]
    command = [str(PROGRAMS / "codespell"), "--ignore-words", str(_WORDS), *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    text = "\n".join(Path(file).read_text() for file in files).lower()
    assert [word for word in _WORDS.read_text().split() if word not in text] == []


def test_each_block_of_a_page_is_closed() -> None:
    for page in [read_page(README), *_PAGES]:
        assert page.text.count("```") == 2 * len(page.blocks), page.name


_FENCED = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
