"""Gives a program its arguments, and ends it with what its SDK reported."""

import json
import sys

HOST, KEY = sys.argv[1:3]
_errors: list[str] = []


def failed(error: object, *_rest: object) -> None:
    """Keep an error that the SDK reported."""
    _errors.append(repr(error))


def report() -> None:
    """Print the errors as JSON, and exit: 1 if there is one."""
    print(json.dumps({"errors": _errors}))
    sys.exit(1 if _errors else 0)
