"""The tables of persons, requests and approvals. Times are nanoseconds since 1970; roles are separated by commas.

Nothing is ever removed: a person who has gone stays as such, and so does a request that was used.
"""

from __future__ import annotations

TABLES = """
    CREATE TABLE person(
        name TEXT PRIMARY KEY,
        state TEXT NOT NULL,             -- 'waiting' (new or changed), 'accepted', 'gone'
        digest BLOB NOT NULL,            -- SHA-256 of what the configuration said of them
        roles TEXT NOT NULL, fingerprint TEXT NOT NULL,
        since INTEGER NOT NULL,
        accepted_by TEXT NOT NULL        -- a director; 'sheet NUMBER' on paper; empty: among the first
    ) WITHOUT ROWID;
    CREATE TABLE approval_request(
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        state TEXT NOT NULL,             -- 'open', 'used', 'expired', 'withdrawn'
        action TEXT NOT NULL,
        parameters TEXT NOT NULL,        -- canonical JSON, with a salt
        origin TEXT NOT NULL, nonce TEXT NOT NULL,
        requester TEXT NOT NULL, account TEXT NOT NULL, who TEXT NOT NULL,
        roles TEXT NOT NULL,
        late INTEGER NOT NULL,           -- 1: the action went before
        made INTEGER NOT NULL, expires INTEGER NOT NULL, ended INTEGER
    );
    CREATE INDEX approval_request_open ON approval_request(action) WHERE state='open';
    CREATE TABLE approval(
        request INTEGER NOT NULL, person TEXT NOT NULL, role TEXT NOT NULL,
        signature TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL,
        PRIMARY KEY(request, person)
    ) WITHOUT ROWID;
"""
