"""The cookies of sessions: what is not signed here, or is over, is no session."""

import pytest

from collector.ops.console.access.sessions import SESSION_SECONDS, AdminSessions

_NAME = "tracklog-session-8081"


class _Clock:
    ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


def test_a_session_lasts_twelve_hours_and_outlives_the_process(clock: _Clock) -> None:
    session, value = AdminSessions(b"a token", clock).begin()
    later = AdminSessions(b"a token", clock)
    assert later.find(f"{_NAME}={value}", _NAME) == session
    clock.ms += SESSION_SECONDS * 1000 - 1
    assert later.find(f"{_NAME}={value}", _NAME) == session
    clock.ms += 1
    assert later.find(f"{_NAME}={value}", _NAME) is None


def test_another_token_ends_all_sessions(clock: _Clock) -> None:
    _, value = AdminSessions(b"a token", clock).begin()
    assert AdminSessions(b"another token", clock).find(f"{_NAME}={value}", _NAME) is None


def test_a_session_that_was_logged_out_is_over(clock: _Clock) -> None:
    sessions = AdminSessions(b"a token", clock)
    (first, cookie), (_, other) = sessions.begin(), sessions.begin()
    sessions.end(first)
    assert sessions.find(f"{_NAME}={cookie}", _NAME) is None
    assert sessions.find(f"{_NAME}={other}", _NAME)


def test_no_forged_cookie_is_a_session(clock: _Clock) -> None:
    sessions = AdminSessions(b"a token", clock)
    _, value = sessions.begin()
    expires, name, signature = value.split(".")
    forged = [
        "", "..", value[:-1], value + "0", value.upper(), f'"{value}"', f"{expires}.{name}.{'0' * 64}",
        f"{int(expires) + 1}.{name}.{signature}", f"9999999999999.{name}.{signature}",
        f"{expires}.{name[1:]}0.{signature}",
        f"{expires}{name}.{signature}", f"{expires}.{name}.", f"٣{expires[1:]}.{name}.{signature}",
    ]  # fmt: skip
    assert [each for each in forged if sessions.find(f"{_NAME}={each}", _NAME)] == []
    assert sessions.find(f"tracklog-session-8080={value}", _NAME) is None
    assert sessions.find(f"x{_NAME}={value}", _NAME) is None


def test_cookies_that_another_port_has_set_lock_nobody_out(clock: _Clock) -> None:
    sessions = AdminSessions(b"a token", clock)
    session, value = sessions.begin()
    assert sessions.find(f"{_NAME}=planted; other=1;{_NAME}; {_NAME}={value}", _NAME) == session
    assert sessions.find("; ".join([f"{_NAME}=planted"] * 100_000), _NAME) is None
