"""The tables, and how an older database becomes this version.

All times are nanoseconds since 1970 by the host's clock; order never depends on them but on ``seq`` and ``number``,
which only grow. Paths are bytes relative to the vault's folder; ``file`` holds every entry of every directory,
directories too, and the vault's folder itself under the empty name.
"""

from __future__ import annotations

from vaultd.store import approvaltables, evacuationtables, mediatables, noticetables, warningtables

VERSION = 9

MIGRATIONS: dict[int, str] = {
    1: """
    CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES('seq', '0');

    CREATE TABLE vault(
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
        files INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,
        complete_as_of INTEGER,          -- start of the last whole reconcile scan that ended well
        accepted INTEGER NOT NULL DEFAULT 0  -- the operator said that an emptied folder or a missing mount is meant
    );
    CREATE TABLE target(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, repository TEXT);

    CREATE TABLE dir(
        id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: what is left of a folder must not show in another
        vault INTEGER NOT NULL, path BLOB NOT NULL, UNIQUE(vault, path)
    );
    CREATE TABLE file(
        dir INTEGER NOT NULL, name BLOB NOT NULL, kind TEXT NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL,
        mtime INTEGER NOT NULL, ctime INTEGER NOT NULL,
        mode INTEGER NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL,
        sha256 BLOB,                     -- of exactly this inode, size, mtime and ctime; NULL while not bound
        version INTEGER,                 -- the version record of that hash
        PRIMARY KEY(dir, name)
    ) WITHOUT ROWID;

    CREATE TABLE pending(
        target INTEGER NOT NULL, vault INTEGER NOT NULL, path BLOB NOT NULL,
        seq INTEGER NOT NULL,            -- grows with every change; acknowledging up to one leaves younger changes
        kind TEXT NOT NULL,              -- FileKind, or '-' for gone
        size INTEGER NOT NULL,
        since INTEGER NOT NULL,          -- first change that no full snapshot has
        unsafe_since INTEGER,            -- first change of content that no snapshot has; NULL: content is safe
        attempts INTEGER NOT NULL DEFAULT 0, -- how often a snapshot had it but the binding failed
        not_before INTEGER NOT NULL DEFAULT 0,
        problem TEXT,                    -- 'in-motion', 'unread'
        PRIMARY KEY(target, vault, path)
    ) WITHOUT ROWID;

    CREATE TABLE run(
        id TEXT PRIMARY KEY,             -- change-set id
        target INTEGER NOT NULL, vault INTEGER NOT NULL, kind TEXT NOT NULL,
        state TEXT NOT NULL,             -- 'running', 'done', 'partial', 'failed', 'unclaimed'
        pid INTEGER, start_time INTEGER, boot_id TEXT,
        started INTEGER NOT NULL, finished INTEGER, seconds REAL,
        files INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, sent INTEGER NOT NULL DEFAULT 0,
        error TEXT
    );
    CREATE INDEX run_by_target ON run(target, started);

    CREATE TABLE snapshot(
        number INTEGER PRIMARY KEY AUTOINCREMENT, change_set TEXT NOT NULL, snapshot TEXT NOT NULL,
        target INTEGER NOT NULL, vault INTEGER NOT NULL, kind TEXT NOT NULL,
        time INTEGER NOT NULL,           -- as restic has it
        acknowledged INTEGER NOT NULL, files INTEGER NOT NULL, bytes INTEGER NOT NULL,
        versions_to INTEGER NOT NULL,    -- version records up to this number were known when it was acknowledged
        exceptions INTEGER NOT NULL DEFAULT 0, -- paths that are in it unread, unconfirmed or in motion
        dump TEXT, digest BLOB,
        missing INTEGER                  -- when it was found to be gone from the repository
    );
    CREATE INDEX snapshot_by_series ON snapshot(target, vault, kind, number);

    CREATE TABLE version(
        number INTEGER PRIMARY KEY AUTOINCREMENT, vault INTEGER NOT NULL, path BLOB NOT NULL,
        state TEXT NOT NULL,             -- 'bound', 'in-motion' (hash of what restic stored), 'deleted'
        size INTEGER NOT NULL, mtime INTEGER NOT NULL, sha256 BLOB,
        change_set TEXT NOT NULL, recorded INTEGER NOT NULL
    );
    CREATE INDEX version_by_path ON version(vault, path, number);

    CREATE TABLE mount(
        vault INTEGER NOT NULL, path BLOB NOT NULL, identity TEXT NOT NULL, PRIMARY KEY(vault, path)
    ) WITHOUT ROWID;

    CREATE TABLE alert(
        id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT NOT NULL,
        vault TEXT NOT NULL DEFAULT '', target TEXT NOT NULL DEFAULT '',
        detail TEXT NOT NULL DEFAULT '{}', raised INTEGER NOT NULL, seen INTEGER NOT NULL,
        times INTEGER NOT NULL DEFAULT 1,
        cleared INTEGER, acknowledged INTEGER, acknowledged_by TEXT
    );
    CREATE UNIQUE INDEX alert_open ON alert(code, vault, target) WHERE cleared IS NULL;
    """,
    2: """
    ALTER TABLE version ADD COLUMN sm3 BLOB;
    ALTER TABLE version ADD COLUMN entry INTEGER;   -- its place in the ledger; NULL: not on record there yet
    ALTER TABLE snapshot ADD COLUMN entry INTEGER;
    CREATE INDEX version_unrecorded ON version(change_set, number) WHERE entry IS NULL;
    CREATE TABLE event(              -- what the ledger does not have yet, in the order in which it happened
        number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, type TEXT NOT NULL,
        fields TEXT NOT NULL         -- JSON, as in the ledger's entry
    );
    INSERT INTO event(at, type, fields) SELECT s.acknowledged, 'snapshot', json_object(
        'vault', v.name, 'target', t.name, 'kind', s.kind, 'change_set', s.change_set, 'snapshot', s.snapshot,
        'time_ns', CAST(s.time AS TEXT), 'files', s.files, 'size', s.bytes, 'versions', 0,
        'exceptions', json_object('retry', s.exceptions)
    ) FROM snapshot s JOIN vault v ON v.id=s.vault JOIN target t ON t.id=s.target ORDER BY s.number;
    """,
    3: """
    ALTER TABLE snapshot ADD COLUMN forgotten INTEGER;  -- when it was removed on purpose (then it is missing too)
    CREATE TABLE verified(           -- a version was read back from a target, and was as on record
        target INTEGER NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(target, version)
    ) WITHOUT ROWID;
    CREATE TABLE verification(       -- a run; one that is not finished is gone on with
        id INTEGER PRIMARY KEY AUTOINCREMENT, target INTEGER NOT NULL, vault INTEGER NOT NULL,
        kind TEXT NOT NULL, chosen TEXT NOT NULL,  -- what was to be verified, as JSON
        began INTEGER NOT NULL, finished INTEGER, state TEXT,
        files INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, differences INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX verification_by_place ON verification(target, vault, id);
    CREATE TABLE difference(         -- what was not as on record when it was read back last
        target INTEGER NOT NULL, vault INTEGER NOT NULL, path BLOB NOT NULL, result TEXT NOT NULL,
        snapshot TEXT NOT NULL, sha256 BLOB, found BLOB, why TEXT NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY(target, vault, path)
    ) WITHOUT ROWID;
    """,
    4: """
    CREATE TABLE pack(               -- what a target's index names
        target INTEGER NOT NULL, id BLOB NOT NULL, size INTEGER NOT NULL,
        since INTEGER NOT NULL,      -- when it was seen there first
        at INTEGER,                  -- when it was read back last; NULL: never
        fault TEXT,                  -- 'gone', 'damaged'; NULL: it was whole then
        PRIMARY KEY(target, id)
    ) WITHOUT ROWID;
    """,
    5: mediatables.TABLES,
    6: evacuationtables.TABLES,
    7: noticetables.TABLES,
    8: approvaltables.TABLES,
    9: warningtables.TABLES,
}
