"""Sessions: the state after a hit, and the tokens that are accepted."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from collector.ingest.session import Session, Sessions

TIMEOUT = 1800
NOW = 1_576_222_588
PORTAL = 33167
AU_ID = 7
SECRET = b"s" * 64
SESSIONS = Sessions(SECRET, TIMEOUT)
URL_SAFE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _hit(
    token: bytes = b"",
    now: int = NOW,
    au_id: int = AU_ID,
    sid: int | None = 6320,
    sessions: Sessions = SESSIONS,
    portal_id: int = PORTAL,
) -> tuple[Session, bytes]:
    """The session of a hit with a token, and the token in its response."""
    session = sessions.next_hit(sessions.read(portal_id, token), au_id, sid, now)
    return session, sessions.token(portal_id, session)


def _first(now: int = NOW, au_id: int = AU_ID, sid: int = 6320) -> Session:
    return Session(au_id, now, au_id, now, sid, now, 1, now, True, True, True)


def test_a_first_hit_opens_a_session_of_a_new_client_and_user() -> None:
    assert _hit()[0] == Session(
        au_id=AU_ID,
        au_first_seen=NOW,
        client_au_id=AU_ID,
        client_first_seen=NOW,
        sid=6320,
        start=NOW,
        hits=1,
        last_hit=NOW,
        is_new=True,
        is_new_client=True,
        is_new_user=True,
    )


def test_next_hits_are_counted_in_the_same_session() -> None:
    _, token = _hit()
    for hits in range(2, 6):
        session, token = _hit(token, NOW + 60 * hits)
        assert session == Session(AU_ID, NOW, AU_ID, NOW, 6320, NOW, hits, NOW + 60 * hits, False, False, False)


@pytest.mark.parametrize(
    ("seconds", "is_new"), [(0, False), (1799, False), (1800, True), (1801, True), (10**8, True), (-5, False)]
)
def test_a_session_ends_thirty_minutes_after_its_last_hit(seconds: int, is_new: bool) -> None:
    _, token = _hit()
    _, token = _hit(token, NOW + 1000)
    session, _ = _hit(token, NOW + 1000 + seconds)
    assert session.is_new is is_new
    assert (session.start, session.hits) == ((NOW + 1000 + seconds, 1) if is_new else (NOW, 3))
    assert (session.au_first_seen, session.client_first_seen) == (NOW, NOW)
    assert not session.is_new_client
    assert not session.is_new_user


def test_another_timeout_can_be_set() -> None:
    sessions = Sessions(SECRET, 0.5)
    _, token = _hit(sessions=sessions)
    assert not _hit(token, sessions=sessions)[0].is_new
    assert _hit(token, NOW + 1, sessions=sessions)[0].is_new


def test_a_change_of_user_keeps_the_client_and_the_session() -> None:
    _, token = _hit()
    session, token = _hit(token, NOW + 10, au_id=8)
    assert session == Session(8, NOW + 10, AU_ID, NOW, 6320, NOW, 2, NOW + 10, False, False, True)
    session, token = _hit(token, NOW + 20, au_id=8)
    assert session == Session(8, NOW + 10, AU_ID, NOW, 6320, NOW, 3, NOW + 20, False, False, False)
    session, _ = _hit(token, NOW + 30)
    assert session == Session(AU_ID, NOW + 30, AU_ID, NOW, 6320, NOW, 4, NOW + 30, False, False, True)


def test_a_hit_without_a_session_id_keeps_the_last_one_sent() -> None:
    session, token = _hit(sid=None)
    assert session.sid == -1
    session, token = _hit(token, sid=2**63 - 1)
    assert session.sid == 2**63 - 1
    session, token = _hit(token, sid=None)
    assert (session.sid, session.hits) == (2**63 - 1, 3)
    assert _hit(token, sid=0)[0].sid == 0


@settings(deadline=None)
@given(
    au_id=st.integers(1, 2**53 - 1), sid=st.none() | st.integers(0, 2**63 - 1), now=st.integers(0, 2**32 - 1 - TIMEOUT)
)
def test_every_state_survives_its_token(au_id: int, sid: int | None, now: int) -> None:
    session, token = _hit(b"", now, au_id, sid)
    again, _ = _hit(token, now + TIMEOUT - 1, au_id, None)
    assert again == replace(
        session, hits=2, last_hit=now + TIMEOUT - 1, is_new=False, is_new_client=False, is_new_user=False
    )


LAST = 2**32 - 1
"""The last second and the most hits that fit in a token."""


def test_hits_saturate() -> None:
    session = replace(_first(), hits=LAST - 1)
    for _ in range(3):
        token = SESSIONS.token(PORTAL, session)
        session, token = _hit(token, NOW + 1)
        assert session.hits == LAST
    assert SESSIONS.read(PORTAL, token) is not None


@pytest.mark.parametrize("now", [-(2**63), -1, 0, LAST, LAST + 1, 2**63])
def test_a_time_out_of_range_is_clamped(now: int) -> None:
    kept = min(max(now, 0), LAST)
    session, token = _hit(b"", now)
    assert session == _first(kept)
    again, _ = _hit(token, now)
    assert (again.hits, again.last_hit, again.start, again.is_new) == (2, kept, kept, False)
    other, _ = _hit(token, now, au_id=8)
    assert other.au_first_seen == kept


def test_a_session_continues_when_the_clock_is_set_back() -> None:
    _, token = _hit(b"", LAST)
    session, token = _hit(token, -1)
    assert (session.hits, session.last_hit) == (2, 0)
    assert _hit(token, NOW)[0].is_new


def test_a_token_needs_no_escape_in_a_url_or_a_cookie() -> None:
    _, token = _hit()
    assert set(token) <= set(URL_SAFE)
    assert len(token) == 80


def test_a_token_damaged_at_any_byte_is_ignored() -> None:
    _, token = _hit()
    for at in range(len(token)):
        for byte in {*URL_SAFE, 0, 0xFF} - {token[at]}:
            damaged = token[:at] + bytes([byte]) + token[at + 1 :]
            assert _hit(damaged)[0] == _first(), damaged


@pytest.mark.parametrize("length", [0, 1, 40, 79])
def test_a_token_cut_short_is_ignored(length: int) -> None:
    _, token = _hit()
    assert _hit(token[:length], NOW + 5)[0] == _first(NOW + 5)
    assert _hit(token[length:][:79], NOW + 5)[0] == _first(NOW + 5)


@pytest.mark.parametrize("junk", [b"!", b"!!!!", b"\n", b" ", b"AAAA", b"===="])
def test_a_token_with_junk_after_before_or_inside_it_is_ignored(junk: bytes) -> None:
    _, token = _hit()
    for longer in (token + junk, junk + token, token[:40] + junk + token[40:]):
        assert _hit(longer)[0] == _first()


def test_a_token_of_another_portal_is_ignored() -> None:
    _, token = _hit(portal_id=PORTAL + 1)
    assert _hit(token, NOW + 5)[0] == _first(NOW + 5)
    assert SESSIONS.read(PORTAL, token) is None


def test_a_token_signed_with_another_secret_is_ignored() -> None:
    _, token = _hit(sessions=Sessions(b"t" * 64, TIMEOUT))
    assert _hit(token, NOW + 5)[0] == _first(NOW + 5)
    assert SESSIONS.read(PORTAL, token) is None


def test_a_token_of_another_node_with_the_same_secret_is_accepted() -> None:
    _, token = _hit(sessions=Sessions(SECRET, TIMEOUT))
    assert _hit(token)[0].hits == 2


def test_a_state_with_the_signature_of_another_state_is_ignored() -> None:
    mine, other = (urlsafe_b64decode(_hit(au_id=au_id)[1]) for au_id in (1, 2))
    assert SESSIONS.read(PORTAL, urlsafe_b64encode(mine[:-15] + other[-15:])) is None


@pytest.mark.parametrize(
    "token",
    [
        b"6320|7|1576222588|3|1576222602",
        b"A" * 80,
        b"=" * 80,
        b"\xff" * 80,
        b" " * 80,
        b"%2D" * 26 + b"AA",
        b"A" * 10**6,
    ],
)
def test_a_garbage_token_is_ignored(token: bytes) -> None:
    assert _hit(token)[0] == _first()
    assert SESSIONS.read(PORTAL, token) is None


@settings(deadline=None)
@given(st.binary() | st.binary(min_size=80, max_size=80) | st.text(URL_SAFE.decode(), min_size=80, max_size=80))
def test_no_token_raises_or_passes_by_chance(token: bytes | str) -> None:
    raw = token if isinstance(token, bytes) else token.encode()
    assert _hit(raw)[0] == _first()


def test_the_state_in_a_token_is_read_back_without_the_new_flags_of_its_hit() -> None:
    session, token = _hit(au_id=2**53 - 1)
    assert SESSIONS.read(PORTAL, token) == replace(session, is_new=False, is_new_client=False, is_new_user=False)
    assert SESSIONS.read(PORTAL, b"") is None


@settings(deadline=None)
@given(portal_id=st.integers(1, 2**53 - 1), uid=st.text(st.characters(codec=None), min_size=1, max_size=255))
def test_a_visitor_id_is_a_stable_positive_integer_below_2_to_the_53(portal_id: int, uid: str) -> None:
    au_id = SESSIONS.au_id(portal_id, uid)
    assert 0 < au_id < 2**53
    assert Sessions(SECRET, 1).au_id(portal_id, uid) == au_id


def test_a_visitor_id_stays_the_same_from_version_to_version() -> None:
    assert SESSIONS.au_id(33167, "u-1") == 1624255944238589


def test_a_visitor_id_differs_by_user_portal_and_secret() -> None:
    ids = [
        SESSIONS.au_id(33167, "u-1"),
        SESSIONS.au_id(33167, "u-2"),
        SESSIONS.au_id(33167, "U-1"),
        SESSIONS.au_id(3316, "7u-1"),
        SESSIONS.au_id(33168, "u-1"),
        Sessions(b"t" * 64, TIMEOUT).au_id(33167, "u-1"),
    ]
    assert len(set(ids)) == len(ids)
