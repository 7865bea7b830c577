"""Progress of a command: a line on a terminal, or lines of JSON for a program."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import msgspec

R = TypeVar("R")
_PAUSE_SECONDS: Final = 0.5
"""Between two lines of JSON."""


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Within the block, a function that shows a text in place of the one before; the end of the block clears it.

    Where stderr is no terminal nothing is shown.
    """
    is_shown = sys.stderr.isatty()

    def show(text: str) -> None:
        if is_shown:
            print(f"\r{text}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        if is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextmanager
def progress_of(text_of: Callable[[R], str], *, as_json: bool) -> Iterator[Callable[[R], None]]:
    """Within the block, a function that shows a report: as text, or as `{"progress": …}` at most twice a second."""
    last = -_PAUSE_SECONDS

    def print_json(report: R) -> None:
        nonlocal last
        if time.monotonic() - last >= _PAUSE_SECONDS:
            last = time.monotonic()
            print_member("progress", report)

    if as_json:
        yield print_json
        return
    with progress() as show:
        yield lambda report: show(text_of(report))


def print_member(name: str, report: object) -> None:
    """Print a report as the only member of an object of JSON, on a line of stdout."""
    print(msgspec.json.encode({name: report}).decode(), flush=True)
