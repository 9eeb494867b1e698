"""The tables of evacuations. Times are nanoseconds since 1970."""

from __future__ import annotations

TABLES = """
    CREATE TABLE evacuation(
        id TEXT PRIMARY KEY, drill INTEGER NOT NULL,
        state TEXT NOT NULL,             -- 'ordered', 'copied' (all that was pending is safe), 'ended'
        level TEXT NOT NULL, category TEXT NOT NULL, who TEXT NOT NULL,
        ordered INTEGER NOT NULL, ended INTEGER,
        boot TEXT NOT NULL,              -- of the host, when a daemon took it up last
        detail TEXT NOT NULL             -- JSON: what else its ledger entry says
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX evacuation_open ON evacuation(drill) WHERE ended IS NULL;
    CREATE TABLE evacuation_tier(
        evacuation TEXT NOT NULL, tier INTEGER NOT NULL, target TEXT NOT NULL,
        vaults TEXT NOT NULL,            -- JSON: names
        state TEXT NOT NULL,             -- 'planned', 'safe', 'short' (ended before it was)
        files INTEGER NOT NULL, bytes INTEGER NOT NULL, -- what was pending when it was ordered
        safe_at INTEGER,
        PRIMARY KEY(evacuation, tier, target)
    ) WITHOUT ROWID;
    CREATE TABLE evacuation_batch(
        change_set TEXT PRIMARY KEY, evacuation TEXT NOT NULL, tier INTEGER NOT NULL, vault TEXT NOT NULL,
        target TEXT NOT NULL,
        state TEXT NOT NULL,             -- 'sending', 'safe', 'broken'
        files INTEGER NOT NULL, bytes INTEGER NOT NULL, began INTEGER NOT NULL, ended INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX evacuation_batch_by_tier ON evacuation_batch(evacuation, target, tier, state);
"""
