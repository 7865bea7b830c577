"""How the simulated crashes say that an invariant is broken."""


class Violation(AssertionError):
    """An invariant of the log does not hold."""


def require(holds: bool, what: str, *values: object) -> None:
    """Raise Violation unless it holds; `what` names the invariant and what it demands."""
    if not holds:
        raise Violation(" ".join((what, *map(repr, values))))
