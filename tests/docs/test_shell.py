"""The comparison of a command's output with what a page shows."""

import pytest

from tests.docs.shell import is_like


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("a  b\n", "a b"),
        ('{"id":"5e3afc9a8ee45b4a-1","at":1795863256738}', '{"id":"0123456789abcdef-1","at":1700000000000}'),
        ("5e3afc9a8ee45b4a-1\t640601089770402", "5e3afc9a8ee45b4a-1\t6406010897700402"),
        ("one\ntwo\nthree", "one\n…\nthree"),
        ("200bash: line 28: 27846 Killed   collector serve > .job-1 2>&1\n", "200"),
        ("up 0:00:07 at 2026-11-28T10:54:15Z", "up 1:02:03 at 2024-01-02T03:04:05Z"),
    ],
)
def test_what_differs_from_run_to_run_is_alike(printed: str, expected: str) -> None:
    assert is_like(printed, expected)


@pytest.mark.parametrize(("printed", "expected"), [("a", "b"), ("a\nb", "a"), ("", "a"), ("id-2", "id-1")])
def test_anything_else_is_not(printed: str, expected: str) -> None:
    assert not is_like(printed, expected)
