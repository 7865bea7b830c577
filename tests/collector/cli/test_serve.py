"""`collector serve`, before its supervisor runs."""

import signal
import subprocess
import sys
from pathlib import Path

from bench.processes import started
from tests.running import PATIENCE_SECONDS

_HUNG_UP = """
import os, signal, sys
from collector.cli import main, serve
load = serve.load_settings_to_serve
def load_and_hang_up(path):
    serve.load_settings_to_serve = load
    settings = load(path)
    with open(path, "a") as file:
        file.write("[[property]]\\nportal_id = 1\\nprop_id = 2\\n")
    os.kill(os.getpid(), signal.SIGHUP)
    return settings
serve.load_settings_to_serve = load_and_hang_up
sys.exit(main(["serve", "--config", sys.argv[1]]))
"""


def test_sighup_during_the_start_reloads_once_the_supervisor_runs(tmp_path: Path) -> None:
    config = tmp_path / "collector.toml"
    config.write_text("[server]\nport = 0\nworkers = 1\n[admin]\nenabled = false\n")
    with started([sys.executable, "-c", _HUNG_UP, str(config)], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        reloaded = next((line for line in process.stderr if "settings reloaded" in line), "")
        assert reloaded.endswith(": property 1/2: added\n")
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait(PATIENCE_SECONDS) == 0
