"""A ledger of simulated months, written by the real writer: what a hospital's host would have on record.

The clock and the salts are determined, so the same call gives the same ledger, byte for byte.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from tests.ledgermaking import ROOT, SIGNER, signer
from vaultd import files
from vaultd.ledger import checkpoint, epochs, log
from vaultd.ledger.epochs import Epoch
from vaultd.ledger.events import TYPES, Begin, Body, FileVersion, Given, KeyRotated, SnapshotMade
from vaultd.ledger.folder import LogFolder
from vaultd.ledger.log import Log
from vaultd.report.audit import audit
from vaultd.report.heads import Verified
from vaultd.report.period import Period

SECOND, MINUTE, HOUR, DAY = 10**9, 60 * 10**9, 3600 * 10**9, 86400 * 10**9
START = round(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) * SECOND
HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m&amp;\"'{{ 191*343 }}"
DIGEST = bytes(32)


class Clock:
    """In place of the clock and of chance."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._drawn = 0

    def time_ns(self) -> int:
        return self.now

    def urandom(self, count: int) -> bytes:
        self._drawn += 1
        return hashlib.shake_128(b"salt %d" % self._drawn).digest(count)


@contextmanager
def simulated(now: int = START) -> Iterator[Clock]:
    clock = Clock(now)
    with (
        mock.patch("vaultd.ledger.log.time.time_ns", clock.time_ns),
        mock.patch("vaultd.ledger.entry.os.urandom", clock.urandom),
    ):
        yield clock


class Story:
    """Writes a ledger entry by entry, at the times of its clock."""

    def __init__(self, opened: Log, clock: Clock) -> None:
        self.log, self.clock = opened, clock
        self.number = 0
        self._seal_at = 0

    def at(self, moment: int) -> None:
        """It is this moment now; every twelve hours what is on record gets its signature."""
        self.clock.now = max(self.clock.now, moment)
        if self.clock.now > self._seal_at:
            self.log.seal()
            self._seal_at = self.clock.now + 12 * HOUR

    def say(self, kind: str, /, **fields: object) -> None:
        """An event, as the daemon puts it on record; fields that are None are left out."""
        self.log.append([Given(kind, {key: one for key, one in fields.items() if one is not None})])

    def change(
        self, vault: str, target: str, ages: list[int], *, kind: str = "full", first: bool = False,
        second: bool = False, exceptions: dict[str, int] | None = None, files_: int = 12_000, size: int = 40 * 2**30,
        motion: str = "",
    ) -> str:  # fmt: skip
        """A snapshot there of versions that were changed so many nanoseconds ago, on record already if ``second``."""
        self.number += 1
        run, now = f"{self.number:026x}", self.clock.now
        bodies: list[Body] = [
            FileVersion(vault, f"1998/档案 {self.number}-{at}.pdf".encode(), "bound", run, 4096, str(now - age), DIGEST)  # type: ignore[arg-type]
            for at, age in enumerate(ages if not second else ())
        ]
        if motion:
            bodies.append(FileVersion(vault, motion.encode(), "in-motion", run, 9, str(now - SECOND), DIGEST))  # type: ignore[arg-type]
        bodies.append(
            SnapshotMade(
                vault, target, kind, run, "ab" * 32, str(now - 4 * SECOND), files_ if kind == "full" else len(ages),
                size if kind == "full" else 4096 * len(ages), 0 if second else len(ages), exceptions or {}, "cd" * 32,
                since_ns=str(now - max(ages)) if ages and not first else None,
            )
        )  # fmt: skip
        self.log.append(bodies)
        return run


@contextmanager
def story(folder: Path, now: int = START, host: str = "ward-3") -> Iterator[Story]:
    """A new ledger. It is signed at the end."""
    with simulated(now) as clock:
        log.create(folder, SIGNER, ROOT, Begin(host, "vaultd 0.1.0"))
        with closing(Log(folder, SIGNER)) as opened:
            told = Story(opened, clock)
            yield told
            opened.seal()


def checked(folder: Path, problem: str = "") -> Verified:
    """A ledger as its checkpoint says it is, without verifying it."""
    read = LogFolder(folder)
    newest = checkpoint.parse(read.read_note(read.checkpoint_file).text)
    return Verified(folder, newest.origin, newest.size, newest.root, 0, problem)


def describe(told: Story, vault: str, objective: int, targets: list[str], **fields: object) -> None:
    values = {"folder": f"/srv/{vault}", "classification": "secret", "priority": 1, "custodian": "张伟", **fields}
    told.say("vault", vault=vault, state="protected", objective_ms=objective * 1000, targets=targets, **values)


VAULTS: dict[str, dict[str, Any]] = {
    "patients": {"objective": 900, "targets": ["bunker", "annex"], "every": 11, "size": 180 * 2**30, "files": 412_000},
    "research": {"objective": 3600, "targets": ["bunker"], "every": 47, "size": 900 * 2**30, "files": 61_000},
    "finance": {"objective": 14400, "targets": ["bunker", "annex"], "every": 190, "size": 3 * 2**30, "files": 9_000},
}


def months(folder: Path, days: int = 92, seed: int = 1, pace: float = 1) -> None:
    """Three months with all that can happen: line cuts, a crash, restores, drills, destruction, strange names.

    ``pace``: so many times fewer changes. Types of entries that there are not yet are left out: the ledger must hold.
    """
    chance = random.Random(seed)
    with story(folder) as told:
        _setup(told)
        away = (START + 30 * DAY, START + 32 * DAY + 5 * HOUR)
        crash = (START + 61 * DAY + 3 * HOUR, START + 61 * DAY + 9 * HOUR)
        due = {(vault, target): START + HOUR for vault, one in VAULTS.items() for target in one["targets"]}
        seen = dict.fromkeys(due, START)
        calendar = sorted(_calendar(days), key=lambda one: one[0])
        while min(due.values()) < START + days * DAY:
            (vault, target), moment = min(due.items(), key=lambda one: (one[1], one[0]))
            while calendar and calendar[0][0] <= moment:
                when, kind, fields = calendar.pop(0)
                told.at(when)
                if kind in TYPES:
                    told.say(kind, **fields)
            one = VAULTS[vault]
            hour = moment // HOUR % 24
            pause = one["every"] * pace * MINUTE * (1 if 7 <= hour < 18 else 6)
            due[vault, target] = moment + round(pause * chance.uniform(0.6, 1.6))
            if crash[0] <= moment < crash[1] or (target == "annex" and away[0] <= moment < away[1]):
                continue
            told.at(moment)
            lag = round(min(chance.lognormvariate(2.3, 0.9), one["objective"] * 1.4)) * SECOND
            if target == "annex" and seen[vault, target] < away[0] <= moment:
                lag = moment - away[0]
            ages = [lag, *(chance.randrange(SECOND, lag + 2 * SECOND) for _more in range(chance.randrange(4)))]
            odd = chance.random()
            told.change(
                vault, target, ages, second=target != "bunker",
                kind="full" if odd < 0.6 else "express", files_=one["files"], size=one["size"],
                exceptions={"unread": 2} if odd > 0.995 else {"in_motion": 1} if odd > 0.98 else {},
                motion=HOSTILE if odd > 0.997 else "",
            )  # fmt: skip
            seen[vault, target] = moment


def _setup(told: Story) -> None:
    told.say("daemon", state="started", software="vaultd 0.1.0", pid=4711, boot="b1")
    told.say("configuration", file="/etc/vaultd/vaultd.toml", digest="ab" * 32, who="uid 0 (says zhangwei)")
    for name, one in VAULTS.items():
        describe(told, name, one["objective"], one["targets"], priority=1 + list(VAULTS).index(name))
    for target in ("bunker", "annex"):
        told.say("target-trusted", target=target, fingerprints=["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"],
                 who="uid 0 (says zhangwei)")  # fmt: skip
    for name, one in VAULTS.items():
        for target in one["targets"]:
            told.change(name, target, [400 * DAY, 2 * DAY], first=True, files_=one["files"], size=one["size"])


def _calendar(days: int) -> Iterator[tuple[int, str, dict[str, Any]]]:
    wei, li = "uid 0 (says zhangwei)", "uid 1004 (says lina)"
    for day in range(1, days):
        base = START + day * DAY
        for vault, one in VAULTS.items():
            for target in one["targets"]:
                if target == "annex" and 29 <= day <= 33:
                    continue
                share = 24 if day < 50 else 40
                yield base + 2 * HOUR, "verification", {
                    "vault": vault, "target": target, "kind": "daily", "state": "interrupted" if day == 17 else "done",
                    "snapshots": ["ab" * 32], "files": one["files"] // share, "size": one["size"] // share,
                    "counts": {"same": one["files"] // share - (day == 40), "differs": int(day == 40)},
                    "differences": int(day == 40), "who": "vaultd",
                    "paths": [f"2011/{HOSTILE}.dcm"] if day == 40 else None,
                }  # fmt: skip
    for at, state in ((30, "raised"), (32, "cleared")):
        for code in ("target-unreachable", "overdue"):
            yield START + at * DAY + 20 * MINUTE, "alert", {
                "code": code, "state": state, "target": "annex", "vault": "patients" if code == "overdue" else None,
            }  # fmt: skip
    yield START + 30 * DAY + 40 * MINUTE, "alert", {"code": "overdue", "state": "acknowledged", "vault": "patients",
                                                    "target": "annex", "who": li}  # fmt: skip
    for at in range(5):
        yield (
            START + 30 * DAY + at * HOUR,
            "run",
            {
                "vault": "patients",
                "target": "annex",
                "kind": "express",
                "change_set": f"f{at}",
                "state": "failed",
                "error": "unreachable",
            },
        )
    yield START + 33 * DAY, "run", {"vault": "finance", "target": "annex", "kind": "full", "change_set": "p",
                                    "state": "partial", "left": 12}  # fmt: skip
    yield START + 44 * DAY, "daemon", {"state": "stopped", "software": "vaultd 0.1.0", "pid": 4711, "boot": "b1"}
    yield START + 44 * DAY + 20 * MINUTE, "daemon", {"state": "started", "software": "vaultd 0.2.0", "pid": 90,
                                                     "boot": "b1"}  # fmt: skip
    yield START + 61 * DAY + 9 * HOUR, "daemon", {"state": "started", "software": "vaultd 0.2.0", "pid": 91,
                                                  "boot": "b2"}  # fmt: skip
    yield START + 62 * DAY, "restore", {"vault": "patients", "target": "bunker", "snapshots": ["ab" * 32],
                                        "to": "/srv/restored/ward 3", "who": li, "state": "complete", "files": 812,
                                        "size": 3 * 2**30, "differences": 0}  # fmt: skip
    yield START + 63 * DAY, "restore", {"vault": "research", "target": "bunker", "snapshots": ["ab" * 32],
                                        "to": f"/tmp/{HOSTILE}", "who": f"uid 1007 (says {HOSTILE})",
                                        "state": "differences", "files": 3, "size": 5000, "differences": 2,
                                        "moment_ns": str(START + 9 * DAY)}  # fmt: skip
    yield START + 64 * DAY, "host-key-refused", {"target": "annex", "reason": "it shows SHA256:other"}
    yield START + 64 * DAY, "alert", {"code": "host-key", "state": "raised", "target": "annex"}
    yield START + 64 * DAY + 3 * HOUR, "target-trusted", {"target": "annex", "fingerprints": ["SHA256:new"], "who": wei}
    yield START + 64 * DAY + 3 * HOUR, "alert", {"code": "host-key", "state": "cleared", "target": "annex"}
    for number, at in enumerate((20, 50, 80)):
        yield START + at * DAY, "drill", {
            "vault": "patients", "target": "bunker", "snapshots": ["ab" * 32], "state": "done",
            "seconds": 5400 - 1300 * number, "files": 412_000, "size": 180 * 2**30, "recovery_point_s": 45 - 9 * number,
            "who": wei, "kit": "k1" if number else None, "differences": 0,
        }  # fmt: skip
    yield START + 12 * DAY, "kit-created", {"kit": "k1", "threshold": 3, "shares": 5, "targets": ["bunker"],
                                            "keys": ["12ab"], "who": wei}  # fmt: skip
    yield START + 70 * DAY, "forget", {"vault": "finance", "target": "bunker", "snapshots": ["ab" * 32] * 40,
                                       "policy": "ab" * 32, "who": wei}  # fmt: skip
    yield START + 70 * DAY + HOUR, "prune", {"target": "bunker", "freed": 7 * 2**30, "check": "ok", "who": wei}
    yield (
        START + 71 * DAY,
        "repair",
        {
            "target": "bunker",
            "vault": "patients",
            "state": "partial",
            "packs": 3,
            "damaged": 31,
            "mended": 30,
            "lost": 1,
            "who": wei,
            "sources": ["annex"],
        },
    )
    yield START + 72 * DAY, "destroyed-records", {
        "vault": "finance", "target": "bunker", "paths": ["ab" * 32], "path_salt": "cd" * 16, "before": 90,
        "rewritten": 44, "after": 90, "files": 1, "reason": "declassified, order 17", "who": wei,
        "certificate": "ef" * 32,
    }  # fmt: skip
    yield START + 75 * DAY, "vault", {"vault": "research", "state": "protected", "folder": "/srv/research",
                                      "classification": "secret", "priority": 2, "custodian": "李娜",
                                      "objective_ms": 1_800_000, "targets": ["bunker"]}  # fmt: skip


def rotate(folder: Path) -> None:
    """The log's key is changed after its end."""
    new = signer(3)
    with simulated(START + 95 * DAY) as _clock, closing(Log(folder, SIGNER)) as opened:
        opened.append([KeyRotated(1, new.verifier.encoded(), "uid 0")])
        epoch = Epoch(1, opened.size, new.verifier)
    files.create_exclusive(folder / "keys" / "1", epochs.certify(epoch, ROOT, SIGNER))
    with simulated(START + 95 * DAY + HOUR), closing(Log(folder, new)) as opened:
        opened.seal()


def figures(folder: Path, since: int = START, until: int = START + 30 * DAY, **options: Any) -> dict[str, Any]:
    verified = options.pop("verified", None) or checked(folder)
    names = options.pop("names", False)
    return audit(verified, Period(since, until), names=names, progress=lambda _done, _total: None)


def begun(told: Story, objective: int = 900, targets: tuple[str, ...] = ("bunker",)) -> None:
    """The daemon runs, and the vault is protected everywhere, at START + 10 minutes."""
    told.say("daemon", state="started", software="vaultd 0.1.0", pid=1, boot="b")
    describe(told, "records", objective, list(targets))
    told.at(START + 10 * MINUTE)
    for target in targets:
        told.change("records", target, [400 * DAY], first=True)


def line(found: dict[str, Any], target: str = "bunker") -> dict[str, Any]:
    (one,) = [one for one in found["recovery"] if one["target"] == target]
    return dict(one)
