"""Everything that a process would print on stderr is a line of the process log."""

import json
import subprocess
import sys
from typing import Any

_PROGRAM = """
import asyncio, gc, logging, sys, threading, warnings
from collector.process_log.of_processes import Ready, StartWarning
from collector.process_log.output import set_up

set_up({format!r}, {level!r})
Ready("http://x", 1, "none").write()
StartWarning("w\\u00e4rning").write()
logging.getLogger("asyncio").error("a library's line")
logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
warnings.warn("a warning\\nof Python")

class Unraisable:
    def __del__(self):
        raise ValueError("unraisable")

Unraisable()
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise OSError("at the end")
"""


def _stderr(line_format: str, level: str) -> str:
    program = _PROGRAM.format(format=line_format, level=level)
    # an encoding that can't have every character must not cost a line either
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    return done.stderr


def _objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_warnings_and_exceptions_that_nothing_caught_are_lines_of_json() -> None:
    lines = _objects(_stderr("json", "info"))
    assert [line["event"] for line in lines] == [
        "ready",
        "start_warning",
        "library",
        "library",
        "uncaught",
        "uncaught",
        "uncaught",
    ]
    assert lines[1]["warning"] == "w\u00e4rning"
    assert "a warning\nof Python" in lines[3]["line"]
    assert [line["exception"].splitlines()[-1] for line in lines[4:]] == [
        "ValueError: unraisable",
        "ZeroDivisionError: division by zero",
        "OSError: at the end",
    ]


def test_a_level_leaves_out_what_is_below_it() -> None:
    assert {line["level"] for line in _objects(_stderr("json", "error"))} == {"error", "critical"}


def test_text_has_the_same_events() -> None:
    stderr = _stderr("text", "warning")
    heads = [line for line in stderr.splitlines() if not line.startswith("    ")]
    assert [line.split()[3] for line in heads] == ["start_warning:", "library:", "library:", *["uncaught:"] * 3]
    assert "Invalid HTTP" not in stderr
