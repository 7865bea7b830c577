"""The built tracker in random scenes in virtual time: `model.mjs` has the scenes, `world.mjs` browser and collector."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

_MODEL = Path(__file__).parent / "model.mjs"
_CASES = 75
_TORTURE_CASES = int(os.environ.get("TRACKLOG_CASES", "100000")) // 20

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed; apt-get install nodejs")


def _run(cases: int, seed: int) -> dict[str, int]:
    command = ["node", str(_MODEL), str(cases), str(seed)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    counts: dict[str, int] = json.loads(ended.stdout)
    return counts


def test_no_event_is_missing_or_counts_twice_whatever_happens() -> None:
    counts = _run(_CASES, 1)
    assert counts["scenes"] == _CASES
    assert counts["events"] > counts["copies"] > 0
    assert counts["told"] > 0


@pytest.mark.torture
@pytest.mark.timeout(7200)
def test_no_event_is_missing_or_counts_twice_in_many_scenes() -> None:
    print(json.dumps(_run(_TORTURE_CASES, 1_000_000)))
