"""The daemon's part in notices: results go on record, alerts become notices, what waits too long is an alert."""

from __future__ import annotations

import asyncio
import itertools
import logging

from vaultd.config.model import Config
from vaultd.errors import StateError
from vaultd.notices import alarm, calls, folders, record
from vaultd.notices.telling import teller
from vaultd.store import Store

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
TIDY_TICKS = 5


class NoticeWatch:
    """The task of the daemon. Nobody waits for it, and protection goes on without it."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config, self._store = config, store
        self._tell = teller(config)
        self._seen: dict[str, int] = {}
        self._persons = calls.listed(config.person)

    async def run(self) -> None:
        """Until cancelled."""
        said = ""
        for tick in itertools.count():
            try:
                await asyncio.to_thread(self.once, tick % TIDY_TICKS == 0)
                said = ""
            except StateError as error:  # the next look tries again; the log says it once
                if str(error) != said:
                    log.error("notices wait: %s", error)
                said = str(error)
            await asyncio.sleep(LOOK_SECONDS)

    def once(self, thorough: bool = True) -> None:
        """Look once; ``thorough``: at all of the outbox. Raises StateError."""
        state = self._config.host.state
        alarm.tell_alerts(self._config, self._store, self._tell)
        if not folders.root(state).exists():
            return
        record.settle(state, self._store, self._seen)
        if thorough:
            folders.prepare(state)  # the group may have been let in meanwhile
            record.tidy(state, self._store, self._persons)
            alarm.raise_alerts(self._config, self._store)
