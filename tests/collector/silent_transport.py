"""A transport for connections without a network."""

import asyncio


class SilentTransport(asyncio.Transport):
    """Open, and read by nobody."""

    def __init__(self, address: str = "203.0.113.7") -> None:
        super().__init__({"peername": (address, 4711), "sockname": ("198.51.100.1", 8080)})

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """To nobody."""

    def is_closing(self) -> bool:
        """It never is."""
        return False

    def close(self) -> None:
        """Nothing is open."""

    def pause_reading(self) -> None:
        """There is nothing to read."""

    resume_reading = pause_reading
