"""The pictures of the documentation: one source each, `docs/img/NAME.svg.in`, coloured for light and for dark pages."""

import re
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
        f"{source.name.removesuffix('.svg.in')}{end}.svg": _COLOUR.sub(lambda found: colours[found[1]], source.read_text())  # noqa: B023
        for source in sorted(FOLDER.glob("*.svg.in"))
        for end, colours in COLOURS.items()
    }


def contrast(first: str, second: str) -> float:
    """The contrast of two colours by WCAG, from 1 to 21."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4
