"""The closing table of the long scenes: what `track` returned, and what became of it."""

from dataclasses import dataclass

from tests.tracker.scene import Verdict


@dataclass
class Total:
    """The sums of scenes of one kind; one row of the table."""

    scenes_of: str
    scenes: int = 0
    returned: int = 0
    stored: int = 0
    missing: int = 0
    twice: int = 0
    told_by_drop: int = 0
    told_as_lost: int = 0
    copies: int = 0
    most_seconds: int = 0
    """Until the queue was empty after the last fault."""

    def add(self, verdict: Verdict, seconds: float) -> None:
        """Count a scene."""
        self.scenes += 1
        self.returned += verdict.returned
        self.stored += verdict.stored
        self.missing += len(verdict.missing)
        self.twice += len(verdict.twice)
        self.told_by_drop += verdict.told
        self.told_as_lost += verdict.lost
        self.copies += verdict.copies
        self.most_seconds = max(self.most_seconds, round(seconds))
