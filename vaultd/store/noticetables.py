"""The tables of notices. Times are nanoseconds since 1970."""

from __future__ import annotations

TABLES = """
    CREATE TABLE notice_result(      -- what is on record of a notice; under the empty channel: that it is over
        notice TEXT NOT NULL, channel TEXT NOT NULL, person TEXT NOT NULL, -- '': nobody in particular
        state TEXT NOT NULL, attempts INTEGER NOT NULL, error TEXT NOT NULL, about TEXT NOT NULL,
        recorded INTEGER NOT NULL,
        PRIMARY KEY(notice, channel, person)
    ) WITHOUT ROWID;
    CREATE INDEX notice_failed ON notice_result(recorded) WHERE state='failed';
    CREATE TABLE notice_call(        -- a person was rung
        notice TEXT NOT NULL, person TEXT NOT NULL, attempts INTEGER NOT NULL, answered INTEGER NOT NULL,
        by TEXT NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY(notice, person)
    ) WITHOUT ROWID;
    CREATE TABLE notice_alert(       -- an alert as people know of it
        code TEXT NOT NULL, vault TEXT NOT NULL, target TEXT NOT NULL,
        told INTEGER,                -- when; NULL: not yet
        count INTEGER NOT NULL,      -- how often it was raised since
        since INTEGER NOT NULL,      -- the first of these
        PRIMARY KEY(code, vault, target)
    ) WITHOUT ROWID;
"""
