"""The shapes and bodies that the benchmarks send are what their names say: else a search would find nothing."""

import multiprocessing
import random
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor

import msgspec
import pytest

from bench import servers
from bench.load import bodies, dialect_bodies, known_bodies
from bench.load.shapes import shapes
from bench.load.texts import DEEPEST, texts
from bench.scenarios import hostile
from bench.scenarios.shapes import SIZES
from collector.nesting import is_deeper

ANSWERED = {200, 302, 400, 413, 414, 415, 431}
_EVERY = 9
"""Of the bodies of dialects, so many times fewer are tried here: all would take a minute."""


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.mark.parametrize("size", [100, 4096, 50_000])
def test_every_text_is_json_of_about_its_size_and_not_too_deep(size: int) -> None:
    for text in texts():
        made = text.make(size)
        msgspec.json.decode(made, type=msgspec.Raw)
        assert not is_deeper(made, DEEPEST + 1), text.name
        assert len(made) <= max(size + 64, 5000), text.name


def test_there_are_hundreds_of_shapes_of_an_event_each_under_its_own_name() -> None:
    for size in SIZES:
        found = list(shapes(size))
        assert len({shape.name for shape in found}) == len(found) > 2000
        assert all(size * 0.7 < len(shape.body) < size * 1.2 for shape in found)


def test_bodies_are_found_without_repetition_the_same_each_time() -> None:
    names = [body.name for body in bodies.found(20)]
    assert names == [body.name for body in bodies.found(20)]
    assert len(set(names)) == 20


@pytest.mark.torture
def test_the_bodies_that_are_always_measured_are_among_the_known_ones() -> None:
    names = [body.name for body in known_bodies.known()]
    assert len(set(names)) == len(names)
    assert set(names) >= known_bodies.NAMED


def test_only_a_body_that_does_not_compress_may_add_more_than_its_length() -> None:
    noise = random.Random(14).randbytes(1 << 20)
    assert hostile.most_added(bodies.posted("text", b'[""' + b',""' * 100_000 + b"]", 1)) == 300_004 + 512 + 8192
    assert 1.33 < (hostile.most_added(bodies.posted("noise", noise, 0)) - 8192) / len(noise) < 1.34


@pytest.mark.torture
def test_every_known_body_is_answered_and_what_is_taken_is_in_the_log(pool: Executor) -> None:
    names = [body.name for body in dialect_bodies.of_dialects()]
    skipped = set(names) - set(names[::_EVERY])
    with hostile.collector(pool, servers.EVERY_REFUSAL, servers.EVERY_LETTER) as ours:
        for body in known_bodies.known():
            if body.name in skipped:
                continue
            added, status = hostile.alone(ours, body)
            assert (added > 0) or status != 200, body.name
            assert status in ANSWERED, body.name
