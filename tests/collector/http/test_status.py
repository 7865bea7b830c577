"""The table from errors to statuses is complete."""

from collections.abc import Iterator

import pytest

from collector import errors
from collector.http.status import STATUS, refusal_of
from wal.errors import Corrupt, LogClosed, LogFull, LogLocked, LogPoisoned, RecordTooLarge, WalError


def _below(kind: type[Exception]) -> Iterator[type[Exception]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def _status(kind: type[Exception]) -> int:
    return STATUS[kind.code if issubclass(kind, errors.Rejected) else refusal_of(kind.__new__(kind)).code]


@pytest.mark.parametrize("kind", list(_below(errors.Rejected)))
def test_every_rejection_has_a_status_of_a_client_error(kind: type[Exception]) -> None:
    assert 400 <= _status(kind) < 500


@pytest.mark.parametrize("kind", [WalError, LogClosed, LogFull, LogPoisoned, LogLocked, Corrupt])
def test_an_error_of_the_log_is_unavailable(kind: type[Exception]) -> None:
    assert _status(kind) == 503


def test_every_error_of_the_log_has_a_status() -> None:
    assert {kind.__name__: _status(kind) for kind in _below(WalError) if _status(kind) != 503} == {
        "RecordTooLarge": 413
    }


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.BadRequest, 400),
        (errors.BadTarget, 400),
        (errors.BadEvent, 400),
        (errors.BadRedirect, 400),
        (errors.NotAClick, 400),
        (errors.Forbidden, 403),
        (errors.NotFound, 404),
        (errors.MethodNotAllowed, 405),
        (errors.SlowHeaders, 408),
        (errors.SlowBody, 408),
        (errors.TooLarge, 413),
        (RecordTooLarge, 413),
        (errors.UrlTooLong, 414),
        (errors.UnsupportedMedia, 415),
        (errors.TooFast, 429),
        (errors.HeadersTooLarge, 431),
        (errors.Overloaded, 503),
    ],
)
def test_statuses_are_those_of_the_contract(kind: type[Exception], status: int) -> None:
    assert _status(kind) == status


def test_a_subclass_of_a_known_error_has_its_status() -> None:
    class DiskOnFire(LogFull):
        """A kind that the table does not name."""

    assert STATUS[refusal_of(DiskOnFire("hot")).code] == 503
