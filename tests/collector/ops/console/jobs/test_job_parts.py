"""What jobs are made of: plans that expire, and the output of commands."""

import json
from pathlib import Path

import msgspec
import pytest

from collector.errors import Rejected
from collector.ops.console.jobs.files import JobFiles
from collector.ops.console.jobs.output import done_of, read_output, summary_of
from collector.ops.console.jobs.plans import PLAN_SECONDS, JobPlan, Plans

_PLAN = JobPlan("redrive", "redrive of 3 dead letters", ("redrive",), msgspec.Raw(b"{}"), 3)


def test_the_end_of_an_output_has_the_whole_last_result(tmp_path: Path) -> None:
    files = JobFiles(str(tmp_path))
    result = json.dumps({"redriven": 0, "refused": {f"reason {number}": 1 for number in range(20_000)}})
    for name, text in {"first": result, "later": f"begins\n{result}\nexit\n", "none": "progress\n" * 100_000}.items():
        (tmp_path / f"{name}.out").write_text(text)
    assert files.tail("first").decode() == result
    assert result in files.tail("later").decode()
    assert 0 < len(files.tail("none")) <= 4 << 20
    assert files.tail("deleted") == b""


def test_a_plan_expires() -> None:
    now = [0.0]
    plans = Plans(lambda: now[0])
    name = plans.add(_PLAN)
    now[0] = PLAN_SECONDS - 1
    assert plans.find(name) is _PLAN
    now[0] = PLAN_SECONDS
    with pytest.raises(Rejected) as refused:
        plans.find(name)
    assert refused.value.refusal.code == "expired"


def test_a_plan_that_was_dropped_can_not_be_had_again() -> None:
    plans = Plans()
    name = plans.add(_PLAN)
    plans.drop(name)
    with pytest.raises(Rejected):
        plans.find(name)


def test_of_too_many_plans_the_oldest_is_forgotten() -> None:
    plans = Plans()
    names = [plans.add(_PLAN) for _ in range(101)]
    assert plans.find(names[1]) is _PLAN
    with pytest.raises(Rejected):
        plans.find(names[0])


@pytest.mark.parametrize(
    ("output", "done", "exit_code", "summary"),
    [
        (b"", 0, None, ""),
        (b'{"progress":{"letters":7,"redriven":1}}\n{"progr', 7, None, ""),
        (
            b'ess":{"events":7}}\n{"progress":{"events":9}}\nsink file:\x1b[2J waits\n',
            9,
            None,
            "sink file:\\u001b[2J waits",
        ),
        (
            b'{"result":{"letters":5,"events":7,"earlier_events":1,"refused":{"x":2}}}\n{"exit":0}\n',
            5,
            0,
            "7 events redriven, 1 redriven before, 2 are still refused",
        ),
        (
            b'{"result":{"events":5,"skipped":1,"refused":{"a-1":"odd"}}}\n{"exit":1}\n',
            5,
            1,
            "3 events sent, 1 by an earlier run, 1 refused by the sink",
        ),
        (b"collector: no\n{\xff}\n{}\n", 0, None, "collector: no"),
    ],
)
def test_the_last_lines_tell_how_far_a_command_is(
    output: bytes, done: int, exit_code: int | None, summary: str
) -> None:
    found = read_output(output)
    assert (done_of(found), found.exit, summary_of(found)) == (done, exit_code, summary)
