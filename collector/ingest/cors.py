"""Which pages may send to a property, pure."""

from typing import Final

from collector.errors import ForbiddenOrigin
from collector.registry import Property

_ANY: Final = b"*"


def check_origin(prop: Property, origin: bytes | None) -> None:
    """Raise ForbiddenOrigin where the property lists origins and the request comes from another one."""
    if origin is not None and prop.origins and origin not in prop.origins and _ANY not in prop.origins:
        raise ForbiddenOrigin("this origin may not send to this property")
