"""The response for a file that an endpoint can't read."""

from collections.abc import Iterator
from contextlib import contextmanager

from collector.ops.console.api.refusals import refused
from wal.errors import WalError


@contextmanager
def reading_files() -> Iterator[None]:
    """Refuse a request whose files can't be read, and name the file and the command that tells more."""
    try:
        yield
    except (WalError, OSError) as error:
        raise refused("unreadable", f"{error}; `wal verify` tells which files are damaged") from None
