"""A start that fails, under every server: it is told, and the server ends instead of serving."""

from pathlib import Path

import pytest

from tests.running import PATIENCE_SECONDS, Collector

_FAULTS = {
    "settings": ("collector.toml", "[server]\nprot = 1\n", "server.prot: no such setting"),
    "log": ("data/dead", "in the place of a folder", "data/dead"),
}


@pytest.mark.parametrize("server", ["collector", "uvicorn", "hypercorn"])
@pytest.mark.parametrize("fault", _FAULTS)
def test_a_start_that_fails_is_told_and_the_server_ends(tmp_path: Path, server: str, fault: str) -> None:
    name, text, told = _FAULTS[fault]
    collector = Collector(tmp_path, 1, server=server)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    collector.launch()
    try:
        exit_code = collector.process.wait(PATIENCE_SECONDS)
    finally:
        collector.kill()
    assert told in collector.stderr
    assert exit_code or server == "hypercorn", "which tells no failure of its workers by its own code"
