"""wrk, the load generator: one thread, any number of connections, requests in turn, each as soon as one is answered."""

import math
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from bench import BenchError
from bench.load.traffic import Traffic
from bench.servers import LOAD_CORE

_IN_TURN: Final = """
local requests, at = {}, 0
init = function()
  local file = io.open(REQUESTS, "rb")
  while true do
    local length = file:read("*n")
    if not length then break end
    file:read(1)
    requests[#requests + 1] = file:read(length)
  end
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
"""
_COUNTED: Final = """
local at, head, tail = 0
init = function()
  local file = io.open(REQUESTS, "rb")
  local length = file:read("*n")
  file:read(1)
  head = file:read(length)
  length = file:read("*n")
  file:read(1)
  tail = file:read(length)
end
request = function()
  at = (at + 1) % VISITORS
  return head .. string.format("%07d", at) .. tail
end
"""
_DONE: Final = """
done = function(summary, latency)
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration, summary.errors.status
    + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""
_LONGEST_TO_REPEAT: Final = 5
"""Seconds: after a longer time without an answer, the server is at fault."""


class Load(NamedTuple):
    """What wrk did: requests answered, in how many seconds, how many of them not with a 2xx or 3xx; latencies in ms."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p99: float


def run(port: int, traffic: Traffic, connections: int, seconds: float, *, core: int | None = LOAD_CORE) -> Load:
    """Send this traffic for `seconds`, rounded up, from one core, or from any. Raises BenchError if a request fails.

    Where a busy machine answers nothing in that time, the traffic is sent again for four times as long.
    """
    with tempfile.TemporaryDirectory() as folder:
        script, content = Path(folder) / "load.lua", Path(folder) / "requests"
        pieces = traffic.halves if traffic.visitors else traffic.requests
        content.write_bytes(b"".join(b"%d\n%b" % (len(piece), piece) for piece in pieces))
        kind = _COUNTED.replace("VISITORS", str(traffic.visitors)) if traffic.visitors else _IN_TURN
        script.write_text(kind.replace("REQUESTS", f"{str(content)!r}") + _DONE)
        command = f"wrk -t1 -c{connections} -d{math.ceil(seconds)}s --timeout 20s -s {script} http://127.0.0.1:{port}/".split()
        if core is not None:
            command = ["taskset", "-c", str(core), *command]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+) (\d+)$", printed, re.MULTILINE)
    if not found:
        raise BenchError(f"wrk printed no result:\n{printed}")
    requests, microseconds, errors, p50, p99 = map(int, found.groups())
    if not requests and not errors and seconds <= _LONGEST_TO_REPEAT:
        return run(port, traffic, connections, 4 * seconds, core=core)
    if errors or not requests:
        raise BenchError(f"{errors} of {requests} requests failed ({traffic.name}, {connections} connections)")
    return Load(requests, microseconds / 1e6, errors, p50 / 1000, p99 / 1000)
