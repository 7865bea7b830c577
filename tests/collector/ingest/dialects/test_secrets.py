"""The write keys of a request are taken out of its refused events, whatever they are and whatever it takes."""

from collections.abc import Generator
from functools import partial

import pytest

from collector.dead_letters.writer import Refused
from collector.errors import BadEvent
from collector.ingest.dialects.secrets import without_secrets
from tests.cost import cpu_seconds

_REFUSAL = BadEvent("bad").refusal
_KEY = "k/y-of-16-or-more"


def _refused(*raws: bytes) -> list[Refused]:
    return [Refused(_REFUSAL, raw, index) for index, raw in enumerate(raws)]


def _run(steps: Generator[None, None, list[Refused]]) -> tuple[list[bytes], int]:
    """The bytes that are left, and the number of pauses."""
    pauses = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return [event.raw for event in end.value], pauses
        pauses += 1


@pytest.mark.parametrize("others", [0, 3, 400])
def test_each_event_loses_the_secret_in_each_form_and_nothing_else(others: int) -> None:
    raws = [b'{"a":"k/y-of-16-or-more"}', b"\0k\\/y-of-16-or-more\0", b"k%2Fy-of-16-or-more"]
    left = [b'{"a":""}', b"\0\0", b"", b"", b"k/y-of-16-or", b"-more"]
    raws += left[-3:]
    filling = [b"x" * 1000] * others
    assert _run(without_secrets(_refused(*filling, *raws), [_KEY, "\0" * 16, "short"]))[0] == filling + left


def test_a_secret_over_the_end_of_an_event_is_none() -> None:
    for last in map(chr, range(256)):
        for secrets in ([f"y-of-16-or-more{last}"], [f"{last}k/y-of-16-or-mo"]):
            raws = [b"k/y-of-16-or-more"] * 2
            assert _run(without_secrets(_refused(*raws), secrets))[0] == raws


def test_members_with_a_secret_lose_it_whichever_it_is() -> None:
    assert _run(without_secrets(_refused(b'{"writeKey":"id:any"}'), []))[0] == [b'{"writeKey":""}']


def test_events_and_secrets_of_one_letter_take_no_product_of_their_lengths() -> None:
    raws = _refused(*[b'{"a":"%b"}' % (b"a" * 2400)] * 100)
    plain = [f"{number:04}" * 300 for number in range(16)]
    alike = ["a" * (1200 - at) + "b" + "a" * at for at in range(16)]
    usual, worst = (cpu_seconds(partial(_run, without_secrets(raws, each))) for each in (plain, alike))
    assert worst < 20 * usual, (usual, worst)  # 190 times where each event is searched alone


def test_other_requests_run_in_between_also_within_one_event() -> None:
    secrets = ["a" * 40 + "b" + "a" * at for at in range(16)]
    assert (
        min(_run(without_secrets(_refused(*raws), secrets))[1] for raws in ([b"a" * 2400] * 2000, [b"a" * 5_000_000]))
        > 5
    )
