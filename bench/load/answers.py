"""Answers as a load generator reads them: where one ends, and its status."""

from typing import Final

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "
_STATUS: Final = slice(9, 12)


def length_of(data: bytes) -> int:
    """Bytes of the answer that `data` begins with; 0 while its head is not whole."""
    end = data.find(_HEAD_END)
    if end < 0:
        return 0
    at = data.find(_LENGTH, 0, end)
    body = int(data[at + len(_LENGTH) : data.find(b"\r", at)]) if at >= 0 else 0
    return end + len(_HEAD_END) + body


def status_of(data: bytes) -> int:
    """The status of the answer that `data` begins with."""
    return int(data[_STATUS])
