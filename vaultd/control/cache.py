"""The status document without waiting for it: counting a backlog of a million paths takes half a second.

A document that was cheap to make is made anew for every question. One that was dear is given again, with its own
``as_of``, while the next is made beside; making never takes more than a twentieth of the time. The first is waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

CHEAP_SECONDS = 0.1
SHARE = 20

Document = dict[str, Any]


class StatusCache:
    """``make`` makes a document; there is one call of it at a time."""

    def __init__(self, make: Callable[[], Awaitable[Document]]) -> None:
        self._make = make
        self._document: Document | None = None
        self._made = 0.0
        self._cost = 0.0
        self._making: asyncio.Task[Document] | None = None

    async def get(self) -> Document:
        """The newest document there is. Raises what ``make`` raised, if that was waited for."""
        if self._document is None or self._cost <= CHEAP_SECONDS:
            return await asyncio.shield(self._start())
        if time.monotonic() - self._made > SHARE * self._cost:
            self._start().add_done_callback(_look)
        return self._document

    def _start(self) -> asyncio.Task[Document]:
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(self._refresh())
        return self._making

    async def _refresh(self) -> Document:
        begin = time.monotonic()
        try:
            self._document = await self._make()
        except BaseException:
            self._document = None  # the next question waits, and hears of it
            raise
        self._made = time.monotonic()
        self._cost = self._made - begin
        return self._document


def _look(task: asyncio.Task[Document]) -> None:
    """Take note of a failure, which the next question raises again."""
    if not task.cancelled():
        task.exception()
