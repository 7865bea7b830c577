"""A line of progress on a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
