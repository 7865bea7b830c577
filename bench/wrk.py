"""wrk, the load generator: one thread, any number of connections, one request or many in turn."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench.event import BODY, TARGET
from bench.servers import LOAD_CORE

_SCRIPT: Final = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
{posts}
done = function(summary)
  io.write(string.format("RESULT %d %d %d\\n", summary.requests, summary.duration, summary.errors.status
    + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""
_ONE: Final = "wrk.body = io.open({path!r}):read('*a')"
_MANY: Final = """
local requests, at = {{}}, 0
init = function()
  for body in io.lines({path!r}) do requests[#requests + 1] = wrk.format(nil, nil, nil, body) end
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
"""


class Load(NamedTuple):
    """What wrk did: requests answered, in how many seconds, how many of them not with a 2xx or 3xx."""

    requests: int
    seconds: float
    errors: int


def run(port: int, connections: int, seconds: int, bodies: Sequence[bytes] = (BODY,)) -> Load:
    """Post these bodies in turn for `seconds`."""
    with tempfile.TemporaryDirectory() as folder:
        script, content = Path(folder) / "post.lua", Path(folder) / "bodies"
        content.write_bytes(b"\n".join(bodies))
        posts = (_ONE if len(bodies) == 1 else _MANY).format(path=str(content))
        script.write_text(_SCRIPT.format(posts=posts))
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
