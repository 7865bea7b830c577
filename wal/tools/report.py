"""Reports on stderr the events that a command could not read."""

import sys

from wal.tools.terminal import harmless
from wal.tools.verify import Finding


class ReadReport:
    """Prints each finding once, and counts lines that are not JSON objects until `print_unreadable`."""

    def __init__(self) -> None:
        self.is_damaged = False
        """Whether damage was found that is not in damage.ndjson."""
        self._printed: set[tuple[str, str]] = set()
        """The path and the message of each finding: two logs may be damaged at the same place."""
        self._unreadable = 0
        self._first_unreadable = ""

    def add(self, finding: Finding) -> None:
        """Print a finding, unless it was printed before."""
        key = finding.path, finding.message
        if key not in self._printed:
            self._printed.add(key)
            print(harmless(f"wal: {finding}"), file=sys.stderr)
        self.is_damaged = self.is_damaged or finding.is_new_damage

    def count_unreadable(self, path: str, sequence: int) -> None:
        """Count a line of the log at `path` that is not a JSON object."""
        if not self._unreadable:
            self._first_unreadable = f"sequence {sequence} of {path}"
        self._unreadable += 1

    def print_unreadable(self, effect: str) -> None:
        """Print how many lines were counted since the last call, and what became of them."""
        if self._unreadable:
            text = f"wal: not JSON objects: {self._unreadable} events, the first is {self._first_unreadable}"
            print(harmless(f"{text}; {effect}"), file=sys.stderr)
        self._unreadable = 0
