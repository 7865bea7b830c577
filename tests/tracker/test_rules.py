"""Single rules of the built tracker in virtual time: `rules.mjs` has them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

_RULES = Path(__file__).parent / "rules.mjs"
_NODE = shutil.which("node")


@pytest.mark.skipif(_NODE is None, reason="node is not installed; apt-get install nodejs")
def test_each_rule_holds(subtests: pytest.Subtests) -> None:
    assert _NODE
    ended = subprocess.run([_NODE, "--expose-gc", _RULES], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(found) > 5
    for name, fault in found:
        with subtests.test(name):
            assert fault is None, fault
