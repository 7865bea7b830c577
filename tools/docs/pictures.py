"""The pictures of the documentation: one source each, `docs/img/NAME.svg.in`, coloured for light and for dark pages."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / "docs/img"
COLOURS: Final = {
    "": {
        "paper": "#ffffff",
        "ink": "#1f2328",
        "muted": "#57606a",
        "line": "#6e7781",
        "accent": "#0b5cad",
        "on-accent": "#ffffff",
    },
    "-dark": {
        "paper": "#0d1117",
        "ink": "#e6edf3",
        "muted": "#a3adb8",
        "line": "#8b949e",
        "accent": "#79b8ff",
        "on-accent": "#0d1117",
    },
}
"""Colours by the end of the file's name. Text stands on `paper`, or as `on-accent` on `accent`."""
_COLOUR: Final = re.compile(r"@([a-z-]+)@")


def pictures() -> dict[str, str]:
    """The content of each picture by its file's name. Raises KeyError for a colour without a value."""
    return {
        f"{source.name.removesuffix('.svg.in')}{end}.svg": _coloured(source.read_text(), colours)
        for source in sorted(FOLDER.glob("*.svg.in"))
        for end, colours in COLOURS.items()
    }


def _coloured(source: str, colours: Mapping[str, str]) -> str:
    return _COLOUR.sub(lambda found: colours[found[1]], source)
