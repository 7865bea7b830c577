"""`python -m bench`. Processes that a scenario spawns import this module too, so it imports little."""

import signal
import sys

if __name__ == "__main__":
    from bench.cli import main

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C, so that the started servers are stopped
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
