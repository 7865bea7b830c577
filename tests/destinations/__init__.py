"""Real destinations of sinks, for the tests that every sink passes."""

from typing import Protocol


class Destination(Protocol):
    """Where a sink under test delivers to: a server or a folder outside of the process that ships."""

    poison: bytes | None
    """A record's line (with its LF) that is refused for good; None where nothing is ever refused."""

    knows_chain: bool
    """Whether its mark tells a restored log from the one that was delivered."""

    def toml(self) -> str:
        """The `[[sink]]` table that ships here, with small flush limits; the same for every call."""

    def arrived(self) -> list[bytes]:
        """Every event that a consumer finds, as its JSON line without the LF, ordered as delivered; twice if twice."""

    def down(self) -> None:
        """Become unreachable, as if it were killed. What has arrived stays."""

    def up(self) -> None:
        """Be reachable again."""

    def close(self) -> None:
        """Stop whatever was started."""
