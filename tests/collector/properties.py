"""Properties as a request meets them, from the settings that a test names."""

from typing import Any

from collector.ingest.policy.properties import Property, Registry
from collector.settings import PropertySettings


def prepared(portal_id: int = 33167, prop_id: int = 2, **settings: Any) -> Property:
    """The property with these settings."""
    prop = Registry([PropertySettings(portal_id, prop_id, **settings)]).get(portal_id, prop_id)
    assert prop
    return prop
