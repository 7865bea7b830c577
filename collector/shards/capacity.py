"""Warnings of settings that need more than the disk of the log has."""

import os
from collections.abc import Iterator

from collector.settings import Settings
from wal.files import Files


def capacity_warnings(settings: Settings) -> Iterator[str]:
    """Yield a warning for each setting that does not fit on the disk. Raises OSError."""
    directory = os.path.abspath(settings.log.dir)
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    capacity, log, workers = Files().room(directory).all_bytes, settings.log, settings.server.workers
    if log.min_free_bytes > capacity:
        yield (
            f"log.min_free_bytes: {log.min_free_bytes} bytes are to stay free, and the disk of {directory} has "
            f"{capacity}; lower it, or every request gets 503"
        )
    if workers * log.retain_bytes > capacity:
        yield (
            f"log.retain_bytes: {workers} workers keep up to {workers * log.retain_bytes} bytes of delivered segments, "
            f"and the disk of {directory} has {capacity}; lower it, or they are given up early, whenever the disk is "
            "short"
        )
