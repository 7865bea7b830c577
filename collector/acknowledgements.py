"""The events that a sink has acknowledged, for requests that wait for it. Knows neither requests nor sinks."""

import asyncio
from typing import Final

_MOST_REFUSED: Final = 10_000
"""Refused events that are remembered although no request waits for them, which may come late."""


class Acknowledgements:
    """The position of one sink, and the requests that wait for it. For one event loop."""

    def __init__(self) -> None:
        self._next = 0
        self._refused: dict[int, None] = {}
        self._waiting: dict[int, tuple[int, asyncio.Future[bool]]] = {}

    async def wait(self, first: int, last: int) -> bool:
        """Return when the sink has taken or refused the events from `first` to `last`; False if it refused one.

        No two concurrent calls may have the same `last`. A caller that gives up only has to cancel the call.
        """
        if last < self._next:
            return self._is_taken(first, last)
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[last] = first, future
        try:
            return await future
        finally:
            self._waiting.pop(last, None)

    def refuse(self, sequence: int) -> None:
        """The sink refused this event for good."""
        self._refused[sequence] = None

    def move(self, sequence: int) -> None:
        """The sink has taken or refused all events before `sequence`."""
        self._next = sequence
        for last in [last for last in self._waiting if last < sequence]:
            first, future = self._waiting.pop(last)
            if not future.done():
                future.set_result(self._is_taken(first, last))

        if len(self._refused) > _MOST_REFUSED:
            awaited = min([sequence, *(first for first, _ in self._waiting.values())])
            for old in [refused for refused in self._refused if refused < awaited][:-_MOST_REFUSED]:
                del self._refused[old]

    def _is_taken(self, first: int, last: int) -> bool:
        return not any(sequence in self._refused for sequence in range(first, last + 1))
