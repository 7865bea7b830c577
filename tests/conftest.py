"""What holds for all tests."""

import signal


def pytest_configure() -> None:
    """Let Ctrl-C reach the processes that tests start.

    A shell starts what runs in its background with SIGINT ignored, and a child inherits that, as it does a blocked one.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
