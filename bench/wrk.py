"""wrk, the load generator: one thread, any number of connections, always the same request."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench.event import BODY, TARGET
from bench.servers import LOAD_CORE

_SCRIPT = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = {body}
done = function(summary)
  io.write(string.format("RESULT %d %d %d\\n", summary.requests, summary.duration, summary.errors.status
    + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


class Load(NamedTuple):
    """What wrk did: requests answered, in how many seconds, how many of them not with a 2xx or 3xx."""

    requests: int
    seconds: float
    errors: int


def run(port: int, connections: int, seconds: int, body: bytes = BODY) -> Load:
    """Post the body for `seconds`, again and again."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(_SCRIPT.format(body=_lua_string(body)), encoding="latin-1")
        url = f"http://127.0.0.1:{port}{TARGET}"
        load = f"wrk -t1 -c{connections} -d{seconds}s -s {script} {url}"
        command = ["taskset", "-c", str(LOAD_CORE), *load.split()]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"^RESULT (\d+) (\d+) (\d+)$", printed, re.MULTILINE)
    if not found:
        sys.exit(f"bench: wrk printed no result:\n{printed}")
    requests, microseconds, errors = map(int, found.groups())
    return Load(requests, microseconds / 1e6, errors)


def check_installed() -> None:
    """Exit where there is no wrk."""
    if not shutil.which("wrk"):
        sys.exit("bench: wrk is not installed; on Debian: apt-get install wrk")


def _lua_string(body: bytes) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in body) + '"'
