"""Commands that print let a closed pipe end the process; a test that runs one here must not let that last."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _sigpipe() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGPIPE)
    yield
    signal.signal(signal.SIGPIPE, handler)
