"""The time of each pattern that a module or a class names grows with the length of the text alone, whatever the text.

A pattern that takes the square of the length lets one request of some kilobytes stop a worker for seconds.
"""

import importlib
import inspect
import pkgutil
import re
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

import pytest

import collector
import wal
from tests.cost import cpu_seconds

_LENGTH = 2000
_TIMES = 4
_MOST_RATIO = 8
"""Halfway, as ratios go, between the 4 of a linear pattern and the 16 of one that takes the square."""
_NOISE_SECONDS = 0.002
_BOUNDED = {
    "collector.ingest.policy.client_address._ADDRESS": "hops have at most 64 characters",
    "collector.ship.credentials._PASSWORD": "reads the operator's own settings",
    "wal.tools.select._TOKEN": "reads lines of JSON, in which quotes are closed",
}
"""Patterns whose texts are short or our own."""
_BEGINNINGS = ("", "a", "a/", '"', "/", "{", "a/json", "http://", "&", 'token_auth":"', "1", "[", " ")
_PUMPS = (
    *(" ", "a", "A", "0", ".", "a.", '"', "\\", '\\"', "%", "%2", "%20", "&", "=", "a=", "a&", "&a=b", ";", "/", "a/"),
    *("+", "a+", "json", "{", "[", "]", ",", ":", "1:", "1.", "-", "_", "\t", "\n", "\r\n", "x;", "utm_", "@", '"a"'),
    *("\x80", "token_auth", "token_auth=", "cip=", "ua=", "u", "://", "http://", "::", "'"),
)
_ENDS = ("", "!", '"', "\n", "b/")


def _patterns() -> Iterator[tuple[str, str, re.Pattern[Any]]]:
    """The name, the method and the pattern, for each method that the pattern's module calls."""
    for root in (collector, wal):
        for found in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
            if not found.name.endswith("__main__"):
                yield from _of_module(importlib.import_module(found.name))


def _of_module(module: ModuleType) -> Iterator[tuple[str, str, re.Pattern[Any]]]:
    source = inspect.getsource(module)
    for name, value in vars(module).items():
        if isinstance(value, type) and value.__module__ == module.__name__:
            yield from _of_class(module, value)
        members = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else [value]
        patterns = [each for each in members if isinstance(each, re.Pattern)]
        if patterns and re.search(rf"^{name}\b.*=", source, re.MULTILINE):
            methods = set(re.findall(rf"\b{name}\.(match|fullmatch|search|sub|finditer|findall|split)\b", source))
            for method in sorted(methods) or ("match", "search"):
                for pattern in patterns:
                    yield f"{module.__name__}.{name}", method, pattern


def _of_class(module: ModuleType, of: type) -> Iterator[tuple[str, str, re.Pattern[Any]]]:
    for name, value in vars(of).items():
        if isinstance(value, re.Pattern):
            yield f"{module.__name__}.{of.__name__}.{name}", "fullmatch", value


def _call(pattern: re.Pattern[Any], method: str) -> Callable[[Any], object]:
    empty = pattern.pattern[:0]
    if method == "sub":
        return partial(pattern.sub, empty)
    if method == "finditer":
        return lambda text: deque(pattern.finditer(text), maxlen=0)  # to keep them would measure the garbage collector
    call: Callable[[Any], object] = getattr(pattern, method)
    return call


def _text(pattern: re.Pattern[Any], beginning: str, pump: str, end: str, length: int) -> Any:
    text = beginning + pump * (length // len(pump)) + end
    return text.encode("latin-1") if isinstance(pattern.pattern, bytes) else text


_PATTERNS = list(_patterns())


@pytest.mark.parametrize(
    ("method", "pattern"),
    [pytest.param(*each, id=f"{name}.{each[0]}") for name, *each in _PATTERNS if name not in _BOUNDED],
)
def test_a_pattern_takes_linear_time(method: str, pattern: re.Pattern[Any]) -> None:
    call = _call(pattern, method)
    for beginning in _BEGINNINGS:
        for pump in _PUMPS:
            for end in _ENDS:
                texts = [_text(pattern, beginning, pump, end, length) for length in (_LENGTH, _TIMES * _LENGTH)]
                if cpu_seconds(partial(call, texts[1])) > _NOISE_SECONDS:
                    short, long = (cpu_seconds(partial(call, text), rounds=5) for text in texts)
                    assert long < max(_MOST_RATIO * short, _NOISE_SECONDS), (beginning, pump, end)


def test_a_pattern_that_takes_the_square_is_found() -> None:
    with pytest.raises(AssertionError):
        test_a_pattern_takes_linear_time("match", re.compile(r'\s*"?\s*[a-z]'))


def test_the_exceptions_are_patterns() -> None:
    assert {name for name, *_ in _PATTERNS} >= _BOUNDED.keys()
