"""The names of what is on record, for people. What has no name here (of a newer vaultd) is shown as it is on record."""

from __future__ import annotations

from typing import Any

from vaultd import units
from vaultd.i18n import N_, _

_WORDS = {
    # classifications
    "top-secret": N_("top secret"), "secret": N_("secret"), "confidential": N_("confidential"),
    "internal": N_("internal"),
    # severities
    "critical": N_("critical"), "warning": N_("warning"), "notice": N_("notice"),
    # kinds and states
    "full": N_("full"), "express": N_("express"), "dump": N_("dump"), "sample": N_("sample"), "changed": N_("changed"),
    "daily": N_("daily share"), "done": N_("done"), "complete": N_("complete"), "partial": N_("in part"),
    "failed": N_("failed"), "interrupted": N_("interrupted"), "differences": N_("differences"), "lost": N_("lost"),
    "protected": N_("protected"), "dropped": N_("no longer protected"), "raised": N_("raised"),
    "cleared": N_("cleared"), "acknowledged": N_("acknowledged"),
    # what a snapshot lacks
    "unread": N_("not readable"), "retry": N_("not confirmed"), "in_motion": N_("in motion"), "differs": N_("differs"),
    # where checkpoints are
    "anchored": N_("anchor at a target"), "witness": N_("witness"), "timestamp": N_("time-stamp authority"),
    "mirror": N_("mirror (no proof)"),
}  # fmt: skip

_DEEDS = {
    "begin": N_("ledger begun"), "version": N_("file version"), "snapshot": N_("snapshot"),
    "run": N_("run that failed or was partial"), "restore": N_("restore"), "export": N_("files given out"),
    "configuration": N_("configuration changed"), "vault": N_("vault described"),
    "target-trusted": N_("server trusted"), "host-key-refused": N_("host key refused"),
    "daemon": N_("daemon started or stopped"), "alert": N_("alert"), "alert-acknowledged": N_("alert acknowledged"),
    "key": N_("signing key changed"), "document": N_("large event"), "checkpoint": N_("checkpoint"),
    "verification": N_("verification"), "forget": N_("snapshots removed"), "prune": N_("space cleared"),
    "destroyed-records": N_("records destroyed"), "repair": N_("repair"), "kit-created": N_("kit made"),
    "kit-revoked": N_("kit revoked"), "kit-opened": N_("kit opened"), "repository-moved": N_("repository moved"),
    "drill": N_("restore drill"), "packs-read": N_("packs read back"),
    "person": N_("person changed"), "approval-request": N_("approval asked for"), "approval": N_("approval"),
    "warning": N_("early warning"), "warning-answer": N_("early warning acknowledged or told again"),
    "playbook-step": N_("step of a playbook"), "notice": N_("notice to persons"),
    "evacuation": N_("step of an evacuation"),
    "evacuation-tier": N_("tier of an evacuation"), "evacuation-batch": N_("batch of an evacuation"),
    "evacuation-disk": N_("disk of an evacuation"), "evacuation-measured": N_("measured by a drill"),
    "improvement": N_("improvement noted or closed"), "medium": N_("medium registered or changed"),
    "media-custody": N_("media moved"), "media-signature": N_("signature for media"),
    "media-audit": N_("room compared with the register"), "media-destruction": N_("destruction of media"),
    "media-stock": N_("supplies counted"), "bay-confirmed": N_("bay confirmed"), "disk-released": N_("disk released"),
    "pull-list-changed": N_("pull list changed"),
}  # fmt: skip

_ALERTS = {
    "vault-missing": N_("folder gone"), "vault-emptied": N_("folder suddenly empty"),
    "vault-replaced": N_("folder replaced"), "vault-unreadable": N_("folder not readable"),
    "mount-missing": N_("file system gone"), "mass-change": N_("mass change or deletion"),
    "unread-files": N_("files not readable"), "unread-folders": N_("folders not readable"),
    "in-motion": N_("files written to all the time"), "dump-failed": N_("dump failed"),
    "overdue": N_("recovery point overdue"), "target-unreachable": N_("target unreachable"),
    "host-key": N_("wrong host key"), "authentication": N_("target refuses us"),
    "repository-missing": N_("repository missing"), "repository-foreign": N_("another repository"),
    "repository-locked": N_("repository locked"), "snapshots-missing": N_("snapshots gone"),
    "repository-damaged": N_("repository damaged"), "target-full": N_("target full"),
    "target-read-only": N_("target read-only"), "watch-limit": N_("limit of watches reached"),
    "watch-overflow": N_("too many changes at once"), "watch-dead": N_("watch blind"),
    "clock-backwards": N_("clock set back"), "restic": N_("restic failed"), "state": N_("state folder unusable"),
    "state-full": N_("disk of the state almost full"), "ledger": N_("ledger not writable"),
    "ledger-stopped": N_("ledger signs nothing more"), "ledger-missing": N_("no ledger"),
    "ledger-inconsistent": N_("another history of the ledger"), "anchor-overdue": N_("anchor overdue"),
    "approval-late": N_("approval owed"), "person-on-paper": N_("person accepted on paper"),
    "internal": N_("fault in vaultd"), "packs-damaged": N_("packs damaged"), "kit-expired": N_("recovery kit expired"),
    "drill-overdue": N_("drill overdue"),
}  # fmt: skip

_FIELDS = {
    "vault": N_("vault"), "target": N_("target"), "files": N_("files"), "size": N_("bytes"), "state": N_("state"),
    "differences": N_("differences"), "reason": N_("reason"), "snapshots": N_("snapshots"), "freed": N_("bytes freed"),
    "check": N_("check"), "before": N_("snapshots before"), "rewritten": N_("snapshots rewritten"),
    "after": N_("snapshots after"), "packs": N_("damaged packs"), "damaged": N_("versions damaged"),
    "mended": N_("versions mended"), "lost": N_("versions lost"), "sources": N_("from"), "kit": N_("kit"),
    "threshold": N_("shares needed"), "shares": N_("shares"), "targets": N_("targets"), "keys": N_("restic keys"),
    "expires": N_("expires"), "left": N_("left over"), "fingerprints": N_("fingerprints"),
    "repository": N_("repository"), "folder": N_("folder"), "classification": N_("classification"),
    "priority": N_("priority"), "custodian": N_("custodian"), "objective_ms": N_("objective"), "file": N_("file"),
    "epoch": N_("epoch"), "key": N_("key"), "of": N_("of type"), "old": N_("old"), "error": N_("error"),
    "snapshot": N_("snapshot"), "continued": N_("ledger continued"), "ledger_key": N_("with the ledger's key"),
}  # fmt: skip


def word(text: str) -> str:
    """A kind, state, classification or severity."""
    return _(_WORDS.get(text, "")) or text


def deed(text: str) -> str:
    """A type of entry, as something that was done."""
    return _(_DEEDS.get(text, "")) or text


def alert(code: str) -> str:
    """An alert, in two or three words."""
    return _(_ALERTS.get(code, "")) or code


def field(name: str) -> str:
    """A field of an entry."""
    return _(_FIELDS.get(name, "")) or name


def value(name: str, found: Any) -> str:
    """What a field of an entry holds."""
    if name in ("size", "freed") and isinstance(found, int):
        return units.size(found)
    if name == "objective_ms" and isinstance(found, int):
        return units.duration(found / 1000)
    if isinstance(found, list):
        return ", ".join(map(str, found))
    if isinstance(found, int):
        return units.number(found)
    return word(str(found))


def printable(text: str) -> str:
    """A text without what is not to be seen: terminal codes, marks that turn the direction of text; as ``\\xNN``."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else "".join(f"\\x{byte:02x}" for byte in one.encode("utf-8", "surrogatepass"))
        for one in text
    )
