"""The figures of an audit: one pass over the entries, each handed to the parts that it concerns.

What is before the period only makes the state in which it begins: which alerts stand, what is waiting, what was
promised. An entry counts at the time when it happened (``at`` where it was recorded later). What is after the period,
or has no signature yet, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from vaultd import __version__
from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.ledger import entry
from vaultd.ledger.events import TYPES
from vaultd.ledger.folder import LogFolder
from vaultd.names import display
from vaultd.report.anchors import Anchors
from vaultd.report.coverage import Coverage
from vaultd.report.deeds import Deeds
from vaultd.report.exceptions import Names
from vaultd.report.heads import Verified, ledger_head, zone_name
from vaultd.report.period import Period, or_none, seconds
from vaultd.report.recovery import Recovery
from vaultd.report.source import Progress, Source
from vaultd.report.standing import Standing
from vaultd.report.uptime import Uptime
from vaultd.units import parse_rfc3339

VERSION = 1

_VERSION = re.compile(
    rb'\{(?:"at":"([0-9T:.Z-]{27})",)?"change_set":"([^"\\]*+)"(?:,"mtime_ns":"(-?[0-9]++)")?,"origin":"[^"\\]*+",'
    rb'"path(?:_b64)?":"(?:[^"\\]++|\\.)*+","salt":"[0-9a-f]{32}","seq":[0-9]++(?:,"sha256":"[0-9a-f]*+")?'
    rb'(?:,"size":([0-9]++))?(?:,"sm3":"[0-9a-f]*+")?,"state":"(bound|deleted)","t":"([0-9T:.Z-]{27})",'
    rb'"type":"version","v":1,"vault":"([^"\\]*+)"\}'
)
"""Most entries are these. They were verified before; what does not match goes the long way."""


class _Audit:
    """The parts, and what an entry does to them."""

    def __init__(self, period: Period, *, names: bool) -> None:
        self.period = period
        self.uptime = Uptime(period)
        self.recovery = Recovery(period, self.uptime)
        self.names = Names(names=names)
        self.coverage = Coverage(period, self.recovery, self.names)
        self.standing = Standing(period)
        self.deeds = Deeds(period)
        self.begin: dict[str, Any] = {}
        self.types = dict[str, int]()
        self.entries = self.size = self.bad = 0
        self.checkpoints = 0
        self.checkpoint_gap = 0
        self._checkpoint_at: int | None = None
        self.last = 0
        """When the newest entry was made that is not after the period."""
        self._alive = 0
        """When the daemon last did something. The entries of a start (what it found interrupted, the configuration)
        come before it says that it started, so they are no sign of it."""
        self._text, self._moment = "", 0

    def bundle(self, entries: Sequence[bytes]) -> None:
        """The next entries."""
        match = _VERSION.fullmatch
        for encoded in entries:
            found = match(encoded)
            if found is None:
                self._long_way(encoded)
                continue
            at, change_set, mtime, size, state, t, vault = found.groups()
            when = self._time((at or t).decode())
            if when > self.period.until:
                continue
            self._count("version", when)
            self.recovery.version(
                vault.decode("utf-8", "replace"), change_set.decode("utf-8", "replace"), state.decode(),
                None if mtime is None else int(mtime), int(size or 0), when,
            )  # fmt: skip
            self.last = max(self.last, when)

    def _time(self, text: str) -> int:
        if text != self._text:  # those that were put on record together have the same
            self._text, self._moment = text, parse_rfc3339(text)
        return self._moment

    def _count(self, kind: str, when: int) -> None:
        self.size += 1
        if when >= self.period.since:
            self.entries += 1
            self.types[kind] = self.types.get(kind, 0) + 1

    def _long_way(self, encoded: bytes) -> None:
        try:
            found = entry.decode(encoded)
            when = self._time(found.get("at", found["t"]))
            if when > self.period.until:
                return
            kind = found["type"]
            self._count(kind, when)
            self._entry(kind, found, when)
        except (ValueError, KeyError, TypeError, AttributeError):
            self.bad += 1  # only where the ledger does not hold: see the caller
            return
        self.last = max(self.last, when)

    def _entry(self, kind: str, found: dict[str, Any], when: int) -> None:
        if kind == "version":
            mtime = found.get("mtime_ns")
            self.recovery.version(
                found["vault"], found["change_set"], found["state"], None if mtime is None else int(mtime),
                found.get("size", 0), when,
            )  # fmt: skip
            if found["state"] == "in-motion" and self.period.has(when):
                self.names.add(found["vault"], "", "in_motion", display(entry.path_of(found) or b""))
            return
        if kind in ("snapshot", "verification"):
            self._alive = when
        if kind == "snapshot":
            self.recovery.snapshot(found, when)
        elif kind == "vault":
            self.recovery.vault(found, when)
        elif kind == "daemon":
            self.uptime.daemon(found["state"], found["software"], when, self._alive)
            self._alive = when
        elif kind == "alert":
            self.standing.alert(found, when)
        elif kind == "verification":
            self.coverage.verification(found, when)
        elif kind == "begin":
            self.begin = found
        elif kind == "checkpoint":
            self._checkpoint(when)
        if self.period.has(when):
            self.deeds.entry(found, when)

    def _checkpoint(self, when: int) -> None:
        if self.period.has(when):
            self.checkpoints += 1
            if self._checkpoint_at is not None:
                self.checkpoint_gap = max(self.checkpoint_gap, when - self._checkpoint_at)
        self._checkpoint_at = when


def audit(verified: Verified, period: Period, *, names: bool, progress: Progress) -> dict[str, Any]:
    """The figures (docs/report.md). ``names``: with the names of files that were an exception.

    Raises LedgerError when the ledger is not the one that was verified any more, ConfigError when the period is before
    it begins.
    """
    folder = LogFolder(verified.folder)
    anchors = Anchors(folder)
    lenient = bool(verified.problem)
    source = Source(folder, verified.size, verified.root, anchors.stops(), lenient=lenient)
    found = _Audit(period, names=names)
    for entries in source.bundles(progress):
        found.bundle(entries)
    if found.bad and not lenient:
        raise ValueError(f"{found.bad} entries that the verifier has passed")
    if not found.size:
        raise ConfigError(_("there is no report"), _("the ledger begins after the period"))
    end = min(period.until, max(found.last, period.since))
    found.uptime.finish(end)
    found.recovery.finish(end)
    found.standing.finish(end)
    deeds = found.deeds.figures()
    return {
        "version": VERSION,
        "software": f"vaultd {__version__}",
        "unverified": verified.problem or None,
        "unreadable": source.unreadable + found.bad,
        "period": {
            "since": or_none(period.since), "until": or_none(period.until), "record_ends": or_none(end),
            "zone": zone_name(period),
        },
        "ledger": ledger_head(verified, found.begin, found.uptime.software),
        "entries": {
            "count": found.entries, "types": dict(sorted(found.types.items())),
            "other": sum(count for kind, count in found.types.items() if kind not in TYPES),
        },
        "versions": {**found.recovery.versions, "bytes": found.recovery.version_bytes},
        "vaults": _vaults(found.recovery.vaults),
        "recovery": found.recovery.figures(),
        "daemon": found.uptime.figures(),
        "coverage": found.coverage.figures(end),
        "checkpoints": {"count": found.checkpoints, "longest_seconds": seconds(found.checkpoint_gap)},
        "anchors": anchors.figures(source.marks, period, found.size),
        "alerts": found.standing.figures(),
        **deeds,
        "names": found.names.figures(),
    }  # fmt: skip


def _vaults(vaults: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = [
        {
            "vault": name, "state": one["state"], "folder": one.get("folder"),
            "classification": one.get("classification"), "priority": one.get("priority"),
            "custodian": one.get("custodian"), "targets": one.get("targets", []),
            "objective_seconds": one["objective_ms"] / 1000 if "objective_ms" in one else None,
        }
        for name, one in vaults.items()
    ]  # fmt: skip
    return sorted(found, key=lambda one: (one["state"] != "protected", one["priority"] or 0, one["vault"]))
