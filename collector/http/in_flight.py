"""The bytes of requests that a worker holds: bodies that arrive, wait or are processed."""


class InFlight:
    """One counter for a worker; its limit is `limits.in_flight_bytes`."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0

    def reserve(self, length: int) -> bool:
        """Count `length` bytes. If that would exceed the limit, count nothing and return False."""
        if self.bytes + length > self.most_bytes:
            return False
        self.bytes += length
        return True

    def release(self, length: int) -> None:
        """Stop counting `length` bytes."""
        self.bytes -= length
