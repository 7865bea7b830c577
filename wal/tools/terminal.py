"""Makes text from events and files safe to print: no terminal commands, and a line stays one line.

Owns the rule for characters and the set-up of stdout. Knows nothing of logs.
"""

import io
import os
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


def open_streams() -> None:
    """Open each of stdin, stdout and stderr that the caller has closed, on /dev/null.

    Otherwise there is none, and the next file that is opened gets its number.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, "r" if name == "stdin" else "w"))  # noqa: SIM115  for good


def flush_stdout() -> None:
    """Write what stdout still holds, unless its reader has gone. Raises OSError; stdout is gone then.

    Python itself would flush at its end, where an error is an exit code of 120, or for 4 to 8 KiB no error at all.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        setattr(sys, "stdout", None)  # noqa: B010  or Python tries once more
    except OSError as error:
        setattr(sys, "stdout", None)  # noqa: B010
        raise OSError(error.errno, error.strerror, "stdout") from None


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return _SHORT.get(char) or "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
