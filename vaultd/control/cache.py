"""The status document without waiting for it: counting a backlog of a million paths takes half a second.

A document that was cheap to make is made anew for every question. One that was dear is given again, with its own
``as_of``, while the next is made beside; it is made no more often than so that making takes a twentieth of the time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

CHEAP_SECONDS = 0.02
SHARE = 20

Document = dict[str, Any]


class StatusCache:
    """``make`` is called in a thread, one call at a time."""

    def __init__(self, make: Callable[[], Document]) -> None:
        self._make = make
        self._document: Document | None = None
        self._made = 0.0
        self._cost = 0.0
        self._making: asyncio.Task[Document] | None = None

    async def get(self) -> Document:
        """The newest document there is; the first one is waited for."""
        age = time.monotonic() - self._made
        if self._document is not None and self._cost > CHEAP_SECONDS:
            if age > SHARE * self._cost:
                self._start()
            return self._document
        return await asyncio.shield(self._start())

    def _start(self) -> asyncio.Task[Document]:
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(self._refresh())
        return self._making

    async def _refresh(self) -> Document:
        begin = time.monotonic()
        document = await asyncio.to_thread(self._make)
        self._made = time.monotonic()
        self._cost = self._made - begin
        self._document = document
        return document
