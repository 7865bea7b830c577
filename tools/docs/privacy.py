"""The names of members that a property's `ip` and `user_agent` remove from events."""

from collector.ingest.policy.privacy import ADDRESSES, USER_AGENTS


def parts() -> dict[str, str]:
    """Two lists of names."""
    return {"privacy.addresses": _listed(ADDRESSES), "privacy.user-agents": _listed(USER_AGENTS)}


def _listed(names: frozenset[bytes]) -> str:
    return ", ".join(f"`{name.decode()}`" for name in sorted(names)) + "."
