"""The tables of the media register.

Times are nanoseconds since 1970. ``statement`` is what people sign: the ledger entry's own fields as canonical JSON.
Nothing is ever removed: a medium that was destroyed stays, and so does everything that happened to it.
"""

from __future__ import annotations

TABLES = """
    CREATE TABLE medium(
        id INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE, copy TEXT NOT NULL,
        classification TEXT NOT NULL, period TEXT NOT NULL, condition TEXT NOT NULL,
        type TEXT NOT NULL, make TEXT NOT NULL, model TEXT NOT NULL, serial TEXT NOT NULL, wwn TEXT NOT NULL,
        capacity INTEGER NOT NULL, encryption TEXT NOT NULL,
        custodian TEXT NOT NULL, deputy TEXT NOT NULL, location TEXT NOT NULL, host TEXT NOT NULL, slot TEXT NOT NULL,
        vaults TEXT NOT NULL,            -- names, separated by commas
        note TEXT NOT NULL,
        status TEXT NOT NULL, holder TEXT NOT NULL, bound_for TEXT NOT NULL, seal TEXT NOT NULL,
        borrower TEXT NOT NULL, due INTEGER, -- while it is checked out
        trouble TEXT NOT NULL,           -- what the last audit said: '', 'missing', 'misplaced'
        seen INTEGER, seen_where TEXT NOT NULL,
        added INTEGER NOT NULL, changed INTEGER NOT NULL,
        salt BLOB NOT NULL               -- of the record's digest in the ledger
    );
    CREATE INDEX medium_by_status ON medium(status, label);
    CREATE INDEX medium_by_custodian ON medium(custodian, label);
    CREATE INDEX medium_by_location ON medium(location, label);
    CREATE INDEX medium_by_serial ON medium(serial) WHERE serial<>'';
    CREATE INDEX medium_by_wwn ON medium(wwn) WHERE wwn<>'';
    CREATE INDEX medium_out ON medium(due) WHERE due IS NOT NULL;
    CREATE INDEX medium_in_trouble ON medium(label) WHERE trouble<>'';
    CREATE TABLE media_event(
        number INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, at INTEGER NOT NULL,
        action TEXT NOT NULL, type TEXT NOT NULL, statement TEXT NOT NULL
    );
    CREATE TABLE media_event_item(
        event INTEGER NOT NULL, medium INTEGER NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
        PRIMARY KEY(medium, event)
    ) WITHOUT ROWID;
    CREATE INDEX media_event_item_by_event ON media_event_item(event);
    CREATE TABLE media_signature(
        event INTEGER NOT NULL, role TEXT NOT NULL, person TEXT NOT NULL,
        state TEXT NOT NULL,             -- 'owed', 'signed' (value: an SSH signature), 'paper' (value: the sheet)
        value TEXT NOT NULL, key TEXT NOT NULL, at INTEGER,
        PRIMARY KEY(event, role, person)
    ) WITHOUT ROWID;
    CREATE INDEX media_signature_owed ON media_signature(event) WHERE state='owed';
    CREATE TABLE media_destruction(
        number TEXT PRIMARY KEY, event INTEGER NOT NULL, state TEXT NOT NULL, -- 'requested', 'executed', 'certified'
        execution INTEGER, certificate TEXT, keep_until TEXT
    ) WITHOUT ROWID;
    CREATE TABLE media_audit(
        number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, place TEXT NOT NULL, result TEXT NOT NULL
    );
    CREATE TABLE media_stock(
        name TEXT PRIMARY KEY, kind TEXT NOT NULL, quantity INTEGER NOT NULL, least INTEGER NOT NULL,
        place TEXT NOT NULL, every_days INTEGER NOT NULL, checked TEXT NOT NULL, checked_by TEXT NOT NULL,
        note TEXT NOT NULL
    ) WITHOUT ROWID;
"""
