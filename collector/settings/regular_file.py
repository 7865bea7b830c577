"""Refuses files that are none: to open a pipe waits for ever, and a device may have no end."""

import os
import stat


def expect_regular_file(path: str) -> None:
    """Raises OSError, with a reason for people, if there is no regular file or it can't be looked at."""
    if os.path.islink(path) and not os.path.exists(path):
        raise FileNotFoundError(0, f"a symbolic link to {os.readlink(path)}, which can't be reached")
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(0, "expected a file, found " + ("a folder" if os.path.isdir(path) else "a device or pipe"))
