"""The parts put together, and taken apart again."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from tests.site import site_in
from vaultd.daemon.assembly import at_work


def test_the_store_is_not_closed_while_a_thread_reads_it(tmp_path: Path) -> None:
    """SQLite ends the process otherwise: SIGSEGV, seen once in a daemon that was stopped."""
    began, ended = threading.Event(), list[int]()

    async def work(config: object) -> None:
        async with at_work(config, lambda _progress: None) as assembly:  # type: ignore[arg-type]

            def read() -> None:
                query = (
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<1000000) SELECT max(i) FROM n"
                )
                began.set()
                ended.append(assembly.store.database.reader().execute(query).fetchone()[0])

            reading = asyncio.create_task(asyncio.to_thread(read))
            await asyncio.to_thread(began.wait)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        assert ended == [1_000_000]  # and not only when the event loop ends

    with site_in(tmp_path) as site:
        site.add_target()
        site.add_vault()
        asyncio.run(work(site.prepare()))
