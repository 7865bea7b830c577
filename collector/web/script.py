"""The tracker for pages as a file: its names and its digests, pure."""

import hashlib
from base64 import b64encode
from typing import Final

_HASH_DIGITS: Final = 16


class Script:
    """A built script. Its hash and `integrity`, for Subresource Integrity, follow from its content."""

    def __init__(self, body: bytes) -> None:
        self.body: Final = body
        self.hash: Final = hashlib.sha256(body).hexdigest()[:_HASH_DIGITS]
        self.integrity: Final = f"sha384-{b64encode(hashlib.sha384(body).digest()).decode()}"

    def hashed(self, path: str) -> str:
        """The name of this version: `/t.HASH.js` of `/t.js`."""
        return f"{path.removesuffix('.js')}.{self.hash}.js"
