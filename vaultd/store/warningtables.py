"""The tables of warnings: what stands, who was told and has answered, what was set in motion, which signals are on.

Times are nanoseconds since 1970. Nothing of a warning is ever removed but notices that were handed over. A flapping
signal only counts: it has one row, however often it came.
"""

from __future__ import annotations

TABLES = """
    CREATE TABLE warning(
        id TEXT PRIMARY KEY, year INTEGER NOT NULL, number INTEGER NOT NULL,
        revision INTEGER NOT NULL, state TEXT NOT NULL, level TEXT NOT NULL, category TEXT NOT NULL,
        recipients TEXT NOT NULL,        -- JSON: names of persons and groups
        start INTEGER NOT NULL, scope TEXT NOT NULL, cautions TEXT NOT NULL, measures TEXT NOT NULL,
        unit TEXT NOT NULL, who TEXT NOT NULL, on_duty TEXT NOT NULL,
        signal TEXT NOT NULL, subject TEXT NOT NULL, -- '': a person has raised it
        count INTEGER NOT NULL,          -- how often the signal came
        seen INTEGER NOT NULL,           -- when it came last
        quiet_until INTEGER NOT NULL,    -- until then the signal only counts, after it was declined or lifted
        drill INTEGER NOT NULL,
        asked INTEGER NOT NULL,          -- the revision that is to be acknowledged
        created INTEGER NOT NULL, changed INTEGER NOT NULL,
        UNIQUE(year, number)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX warning_open ON warning(signal, subject)
        WHERE signal<>'' AND state IN ('proposed', 'issued', 'adjusted');
    CREATE INDEX warning_by_signal ON warning(signal, subject, created) WHERE signal<>'';
    CREATE INDEX warning_standing ON warning(created) WHERE state IN ('proposed', 'issued', 'adjusted');
    CREATE TABLE warning_revision(       -- what each revision said: the fields of its entry as JSON
        warning TEXT NOT NULL, revision INTEGER NOT NULL, at INTEGER NOT NULL, fields TEXT NOT NULL,
        PRIMARY KEY(warning, revision)
    ) WITHOUT ROWID;
    CREATE TABLE warning_answer(
        warning TEXT NOT NULL, revision INTEGER NOT NULL, person TEXT NOT NULL,
        state TEXT NOT NULL,             -- 'asked', 'acknowledged', 'escalated', 'unheard'
        asked INTEGER NOT NULL, told INTEGER NOT NULL, times INTEGER NOT NULL, -- first, last, how often
        escalated TEXT NOT NULL,         -- to whom
        at INTEGER, how TEXT NOT NULL, who TEXT NOT NULL,
        PRIMARY KEY(warning, revision, person)
    ) WITHOUT ROWID;
    CREATE TABLE warning_ring(           -- the list to ring, with its ticks
        warning TEXT NOT NULL, person TEXT NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL, reached INTEGER NOT NULL
    );
    CREATE TABLE warning_action(         -- what a warning sets in motion at once
        warning TEXT NOT NULL, action TEXT NOT NULL, level TEXT NOT NULL,
        state TEXT NOT NULL,             -- 'wanted', 'begun', 'done', 'failed'
        at INTEGER NOT NULL, error TEXT NOT NULL, PRIMARY KEY(warning, action)
    ) WITHOUT ROWID;
    CREATE TABLE warning_notice(         -- to be handed to whoever carries notices
        number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, notice TEXT NOT NULL
    );
    CREATE TABLE warning_signal(         -- signals that are on, so that a restart counts nothing twice
        signal TEXT NOT NULL, subject TEXT NOT NULL, since INTEGER NOT NULL, PRIMARY KEY(signal, subject)
    ) WITHOUT ROWID;
    CREATE TABLE playbook_step(
        number INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, playbook TEXT NOT NULL, step TEXT NOT NULL,
        state TEXT NOT NULL, person TEXT NOT NULL, at INTEGER NOT NULL, time_source TEXT NOT NULL, who TEXT NOT NULL,
        note TEXT NOT NULL, items TEXT NOT NULL
    );
    CREATE INDEX playbook_step_by_subject ON playbook_step(subject, number);
"""
