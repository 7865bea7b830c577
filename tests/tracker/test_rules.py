"""Single rules of the built tracker in virtual time: `rules.mjs` has them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

_RULES = Path(__file__).parent / "rules.mjs"
_NODE = shutil.which("node")


def _run(*name: str) -> str:
    assert _NODE
    ended = subprocess.run([_NODE, "--expose-gc", _RULES, *name], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.skipif(_NODE is None, reason="node is not installed; apt-get install nodejs")
def test_each_rule_holds(subtests: pytest.Subtests) -> None:
    names = json.loads(_run())
    assert len(names) > 5
    for name in names:
        with subtests.test(name):
            _run(name)
