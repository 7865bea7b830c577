"""Files of the repository that are pages of the site, too."""

import re
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
_COPIES: Final = {
    "copy.format": "wal/FORMAT.md",
    "copy.contributing": "CONTRIBUTING.md",
    "copy.changes": "CHANGELOG.md",
    "copy.security": "SECURITY.md",
}
_LINK: Final = re.compile(r"\[([^\]]+)\]\((?!https?:|#)[^)]+\)")
"""A link to another file, which the site does not have: its text stays."""


def parts() -> dict[str, str]:
    """Each file without its title, since a page has its own."""
    return {name: _body((_ROOT / path).read_text()) for name, path in _COPIES.items()}


def _body(text: str) -> str:
    return _LINK.sub(r"\1", text.partition("\n")[2])
