"""The files of the console's page, read as they are: colours, what a policy forbids, the vendored library, the size."""

import gzip
import hashlib
import re
from itertools import product
from pathlib import Path

import pytest

from tests.docs.contrast import contrast

PAGE = Path(__file__).parents[5] / "collector/ops/console/page"
_VENDORED = PAGE / "preact.js"
_MODULES = sorted(path for path in PAGE.glob("*.js") if path != _VENDORED)
_TOKEN = re.compile(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")
_GROUNDS = ("bg", "surface", "raised")
_TEXTS = ("text", "muted", "accent", "ok", "warn", "bad", "dead")
_FILLED = ("accent", "bad", "dead")
"""Colours that stand behind text of the colour `on-accent`."""
_PREACT = "72284e8e9079c87817145df1110f74e8a2aa040b2fc384922e18dfcb46fc1fd7"
_MOST_BYTES = 60 << 10
_FORBIDDEN = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "dangerouslySetInnerHTML",
    "document.write",
    "DOMParser",
    "createContextualFragment",
    "srcdoc",
    "javascript:",
    "eval(",
    "new Function",
    " style=",
    'setAttribute("style"',
    'setAttribute("on',
)
_IMPORT = re.compile(r'^import \{([^}]+)\} from "\./([a-z_]+\.js)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:default )?(?:async )?(?:const|let|function|class) (\w+)", re.MULTILINE)
_PLACES_EXPORTED = re.compile(r"^export const \[([A-Z, ]+)\]", re.MULTILINE)


def _tokens() -> dict[str, tuple[str, str]]:
    """The colours by name: light, dark."""
    found = _TOKEN.findall((PAGE / "console.css").read_text())
    return {name: (light, dark) for name, light, dark in found}


@pytest.mark.parametrize(("text", "ground"), list(product(_TEXTS, _GROUNDS)))
def test_text_has_the_contrast_that_it_needs_on_every_ground(text: str, ground: str) -> None:
    colours = _tokens()
    for theme in (0, 1):
        assert contrast(colours[text][theme], colours[ground][theme]) >= 4.5


@pytest.mark.parametrize("ground", _GROUNDS)
def test_the_border_of_a_control_can_be_seen(ground: str) -> None:
    colours = _tokens()
    for theme in (0, 1):
        assert contrast(colours["border"][theme], colours[ground][theme]) >= 3


@pytest.mark.parametrize("filled", _FILLED)
def test_the_text_of_a_filled_button_can_be_read(filled: str) -> None:
    colours = _tokens()
    for theme in (0, 1):
        assert contrast(colours["on-accent"][theme], colours[filled][theme]) >= 4.5


def test_colours_stand_in_tokens_alone() -> None:
    rest = _TOKEN.sub("", (PAGE / "console.css").read_text())
    assert re.findall(r"#[0-9a-f]{3,8}\b", rest) == []


def test_the_vendored_library_is_the_one_that_was_reviewed() -> None:
    assert hashlib.sha256(_VENDORED.read_bytes()).hexdigest() == _PREACT


def test_the_licences_of_the_vendored_library_lie_beside_it() -> None:
    licences = (PAGE / "preact.LICENSE.txt").read_text()
    assert "Apache License" in licences
    assert "The MIT License (MIT)" in licences


@pytest.mark.parametrize("module", _MODULES, ids=lambda path: path.name)
def test_no_module_makes_markup_or_code_from_text(module: Path) -> None:
    source = module.read_text()
    assert [word for word in _FORBIDDEN if word in source] == []


@pytest.mark.parametrize("module", _MODULES, ids=lambda path: path.name)
def test_a_module_begins_by_saying_what_it_is(module: Path) -> None:
    assert module.read_text().startswith("/**")


@pytest.mark.parametrize("module", _MODULES, ids=lambda path: path.name)
def test_a_module_is_not_long(module: Path) -> None:
    lines = module.read_text().splitlines()
    assert len(lines) <= 250
    assert [line for line in lines if len(line) > 160] == []


@pytest.mark.parametrize("module", _MODULES, ids=lambda path: path.name)
def test_a_module_imports_what_the_others_export_and_uses_it(module: Path) -> None:
    source = module.read_text()
    for names, other in _IMPORT.findall(source):
        exported = _exports(PAGE / other)
        for name in (each.strip() for each in names.split(",")):
            assert name in exported, f"{other} exports no {name}"
            assert len(re.findall(rf"\b{name}\b", source)) > 1, f"{name} is not used"


def _exports(module: Path) -> set[str]:
    source = module.read_text()
    if module == _VENDORED:
        return set(re.findall(r" as (\w+)", source))
    places = [name.strip() for names in _PLACES_EXPORTED.findall(source) for name in names.split(",")]
    return {*_EXPORT.findall(source), *places}


def test_the_shell_has_no_code_and_no_style_of_its_own() -> None:
    shell = (PAGE / "index.html").read_text()
    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=", shell) == []
    assert re.findall(r'(?:src|href)="([^"]+)"', shell) == [
        "/assets/icon.svg",
        "/assets/console.css",
        "/assets/app.js",
    ]


def test_nothing_is_loaded_from_another_host() -> None:
    for path in (PAGE / "console.css", PAGE / "index.html"):
        assert re.findall(r"url\(|@import|https?://", path.read_text()) == []


def test_shell_and_modules_stay_within_their_budget() -> None:
    files = [path for path in PAGE.iterdir() if path.suffix != ".txt"]
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in files) <= _MOST_BYTES
