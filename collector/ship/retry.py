"""Retries: pauses that grow up to a cap, with jitter."""

import random
from typing import Final

_FIRST_SECONDS: Final = 0.1
_LAST_SECONDS: Final = 30.0


class Backoff:
    """Pauses in seconds, each about twice as long as the one before."""

    def __init__(self) -> None:
        self.failures = 0

    def next(self, at_least: float = 0.0) -> float:
        """Count a failure, and return how long to wait before the next attempt."""
        wait = min(_FIRST_SECONDS * 2.0 ** min(self.failures, 32), _LAST_SECONDS)
        self.failures += 1
        return max(wait * random.uniform(0.5, 1), at_least)  # noqa: S311 - jitter, no secret

    def reset(self) -> None:
        """Forget the failures."""
        self.failures = 0
