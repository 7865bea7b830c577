"""Queries of the API: whatever a client sends, the values are within their bounds."""

from typing import Annotated, Literal

import pytest
from msgspec import Meta, Struct

from collector.errors import Rejected
from collector.ops.console.api.parameters import read_parameters


class _Query(Struct, frozen=True):
    kind: Literal["stored", "dead"] | None = None
    uid: Annotated[str, Meta(max_length=20)] = ""
    q: str = ""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class _Unbounded(Struct, frozen=True):
    limit: int = 100


def test_parameters_are_read_with_their_types_and_an_empty_one_is_absent() -> None:
    assert read_parameters(b"", _Query) == _Query()
    query = b"kind=dead&uid=12&q=%C3%A9+%26&limit=7"
    assert read_parameters(query, _Query) == _Query("dead", "12", "é &", 7)
    assert read_parameters(b"kind=&uid=&limit=", _Query) == _Query()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (b"limit=0", "limit: expected `int` >= 1"),
        (b"limit=1001", "limit: expected `int` <= 1000"),
        (b"limit=1e99", "limit: "),
        (b"limit=NaN", "limit: expected `int`"),
        (b"limit=" + b"9" * 190, "limit: "),
        (b"limit=-1", "limit: expected `int` >= 1"),
        (b"kind=all", "kind: Invalid enum value 'all'"),
        (b"kind=dead&kind=stored", "a parameter stands twice"),
        (b"uid=" + b"u" * 21, "uid: expected `str` of length <= 20"),
        (b"q=" + b"u" * 201, "q: expected at most 200 characters"),
        (b"where=1", "no parameter 'where'; expected kind, uid, q, limit"),
        (b"x" * 1000 + b"=1", "no parameter 'xxx"),
        (b"q=%ff", "expected at most 32 parameters as name=value, in UTF-8"),
        (b"q=%ed%a0%80", "expected at most 32 parameters"),
        (b"q=\xc3\xa9", "expected at most 32 parameters"),
        (b"q", "expected at most 32 parameters"),
        (b"q=1&", "expected at most 32 parameters"),
        (b"&".join(b"p%d=1" % number for number in range(33)), "expected at most 32 parameters"),
        (b"q=" + b"%41" * 6000, "expected a query of at most 16384 bytes"),
    ],
)
def test_a_parameter_out_of_its_bounds_is_refused_by_name(query: bytes, message: str) -> None:
    with pytest.raises(Rejected) as caught:
        read_parameters(query, _Query)
    assert caught.value.refusal.code == "bad_parameter"
    assert caught.value.refusal.message.startswith(message)
    assert len(caught.value.refusal.message) < 300


def test_an_endpoint_can_have_no_number_without_bounds() -> None:
    with pytest.raises(TypeError, match=r"_Unbounded\.limit needs bounds"):
        read_parameters(b"", _Unbounded)
