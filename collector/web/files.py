"""Reads the files of this package that are served to pages, from a folder or from a wheel."""

from importlib.resources import files
from typing import Final

from collector.web.script import Script

_FOLDER: Final = files("collector.web")


def load_script() -> Script:
    """The tracker for pages, as it was built."""
    return Script((_FOLDER / "dist" / "t.js").read_bytes())


def load_demo() -> dict[str, bytes]:
    """The files of the demo shop by their names."""
    return {file.name: file.read_bytes() for file in (_FOLDER / "demo").iterdir() if file.is_file()}
