"""Events that no code of ours logs: lines of libraries, and exceptions that nobody caught."""

import logging

from collector.process_log.event import ProcessLogEvent


class Library(ProcessLogEvent, frozen=True):
    """A line of a library, at the library's own level."""

    text = "{line}"
    logger: str
    line: str


class Uncaught(ProcessLogEvent, frozen=True):
    """A bug raised an exception that nothing caught. A process that ends by it is started again."""

    level = logging.CRITICAL
    page = "TracklogBug"
    text = "bug in the collector: an exception that nothing caught"
