"""The bytes of requests that a worker holds: bodies that arrive, wait, or are worked on."""


class InFlight:
    """One count for a worker, with a limit, `limits.in_flight_bytes`."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.bytes = 0

    def reserve(self, length: int) -> bool:
        """Count so many bytes; False, and nothing is counted, over the limit."""
        if self.bytes + length > self._most_bytes:
            return False
        self.bytes += length
        return True

    def release(self, length: int) -> None:
        """Count bytes no longer."""
        self.bytes -= length
