"""Escapes of lone surrogates in JSON, pure: JavaScript writes them for text that was cut within a character.

Our JSON decoder refuses them, and with them the whole body: one cut text would cost all events of a batch.
"""

import re
from typing import Final

_LONGEST: Final = 640 << 10
"""Bytes of a body that is mended: more than an SDK sends at once, which is 500 kB; and 12 ms at worst."""
_LONE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_BACKSLASH: Final = b"\\\\"
_PLACEHOLDER: Final = b"\0\0"
"""As long as the escape of a backslash, and in no JSON. Without those escapes every backslash begins an escape."""


def mended(body: bytes) -> bytes:
    """The body with U+FFFD for every lone surrogate. A long body stays as it is."""
    if len(body) > _LONGEST or b"\\u" not in body or b"\0" in body:
        return body
    text = _LONE.sub(rb"\\ufffd", body.replace(_BACKSLASH, _PLACEHOLDER))
    return text.replace(_PLACEHOLDER, _BACKSLASH)
