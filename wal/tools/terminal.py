"""Makes text from events and files safe to print: no terminal commands, and a line stays one line.

Owns the rule for characters and the set-up of stdout. Knows nothing of logs.
"""

import io
import signal
import sys
from typing import Final
from unicodedata import category

_HARMFUL: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of Unicode: control (C0, DEL, C1), format (bidi, zero-width), surrogate, line and paragraph separator."""
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def decoded(data: bytes) -> str:
    """Decode UTF-8. A byte that is not UTF-8 becomes a lone surrogate, which `harmless` escapes."""
    return data.decode("utf-8", "surrogateescape")


def harmless(text: str, keep: str = "") -> str:
    r"""Escape the characters that a terminal interprets, hides or reorders, except those in `keep`.

    The escapes are those of JSON (`\n`, `\r`, `\t`, `\u001b`), so that JSON keeps its meaning.
    """
    if text.isprintable():
        return text
    return "".join(char if char in keep or category(char) not in _HARMFUL else _escape(char) for char in text)


def prepare_stdout() -> None:
    """End the program silently at a closed pipe, and escape characters that the encoding of stdout lacks."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return _SHORT.get(char) or "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
