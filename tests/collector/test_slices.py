"""Long work in slices: it gives way, and rests after a slice that was long."""

import asyncio
from collections.abc import Iterator

import pytest

from collector.long_work import LongWork, sliced


def test_after_a_long_slice_no_slice_runs_for_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    rests = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)

    async def run() -> None:
        work = LongWork(1)
        for seconds in (0.001, 0.02, 0.001):
            await work.pause()
            work.took(seconds)
        await work.pause()

    monkeypatch.setattr("asyncio.sleep", sleep)
    asyncio.run(run())
    assert rests == [0.0, 0.0, 0.02, 0.0]


def test_work_on_many_items_gives_way_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Iterator[float] = iter(range(100))
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    steps = sliced(str, [1, 2, 3])
    assert [next(steps), next(steps), next(steps)] == [None] * 3
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == ["1", "2", "3"]
