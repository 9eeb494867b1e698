"""Drills are to be made as often as the configuration says."""

from __future__ import annotations

import time
from pathlib import Path

from vaultd.config import Config
from vaultd.evacuate import practice
from vaultd.store import Store
from vaultd.store.evacuations import ENDED, Evacuation

DAY = 86400 * 10**9


def test_it_is_an_alert_when_nothing_was_practised_in_time_and_over_with_the_next_drill(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    config = Config.model_validate({"response": {"drill_every": "30d"}})
    now = time.time_ns()
    assert not practice.settle(Config(), store, now)
    assert not practice.settle(config, store, now), "it is asked for since now"
    assert not practice.settle(config, store, now + 30 * DAY)
    assert practice.settle(config, store, now + 31 * DAY)
    (alert,) = store.alerts.list()
    assert (alert.code, alert.detail) == ("drill-overdue", {"seconds": 31 * 86400, "every_seconds": 30 * 86400})

    def practised(number: str, at: int, *, drill: bool) -> None:
        assert store.add_evacuation(Evacuation(number, drill, ENDED, "I", "fire", "uid 0", at, at + 1, "", {}))

    practised("E-2026-001", now + 31 * DAY, drill=False)
    assert practice.settle(config, store, now + 31 * DAY), "a real one is no drill"
    practised("DRILL-2026-001", now + 31 * DAY, drill=True)
    assert not practice.settle(config, store, now + 32 * DAY)
    assert store.alerts.list() == []
    assert practice.settle(config, store, now + 62 * DAY)
    assert not practice.settle(Config(), store, now + 62 * DAY), "nobody asks for it any more"
    store.close()
