"""The alerts: code, severity, and text that is made where it is shown, in the reader's language.

The store keeps a code and a detail (JSON) only. The words in braces are the keys of that detail, beside ``vault`` and
``target``; a key that is missing shows as "?". Keys that end in ``bytes``, ``seconds`` or ``share`` are numbers and are
shown as a size, a duration and a percentage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from vaultd import units
from vaultd.i18n import N_, _


class Severity(StrEnum):
    """How bad it is.

    Critical: something is not protected and stays so until a person acts. Warning: protection is at risk or late.
    Notice: protection goes on, and somebody should know.
    """

    CRITICAL = "critical"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Kind:
    """One code of the table. ``text`` and ``hint`` are msgids."""

    severity: Severity
    text: str
    hint: str


_C, _W, _I = Severity.CRITICAL, Severity.WARNING, Severity.NOTICE

KINDS: dict[str, Kind] = {
    # The vault's folder
    "vault-missing": Kind(
        _C, N_("the folder {path} of vault {vault} is gone: no snapshot is made of it, the old ones stay"),
        N_("mount or recreate it; if it is meant, take the vault out of the configuration"),
    ),
    "vault-emptied": Kind(
        _C, N_("the folder {path} of vault {vault} is suddenly empty: no snapshot is made of it, the old ones stay"),
        N_("is its file system mounted? If it is meant: vaultd backup {vault} --accept-empty"),
    ),
    "vault-replaced": Kind(
        _C, N_("the folder {path} of vault {vault} has become something else: no snapshot is made of it"),
        N_("put the folder back, or change the path in the configuration"),
    ),
    "vault-unreadable": Kind(
        _C, N_("the folder {path} of vault {vault} cannot be read: {error}"),
        N_("the daemon must be able to read everything in it: see vaultd doctor"),
    ),
    "mount-missing": Kind(
        _C, N_("the file system mounted at {path} in vault {vault} is gone or is another one: "
               "nothing beneath counts as deleted"),
        N_("mount it again; if it is meant: vaultd backup {vault} --accept-empty"),
    ),
    "mass-change": Kind(
        _C, N_("{changed} of {files} files of vault {vault} were changed or deleted at once: protection goes on, "
               "but no old snapshot is forgotten"),
        N_("find out who did it. If it is meant: vaultd alert ack NUMBER; "
           "if not: vaultd restore {vault} --at a moment before it"),
    ),
    "unread-files": Kind(
        _W, N_("{files} files of vault {vault} could not be read: they are not at target {target}"),
        N_("see the list with vaultd status {vault}; mend permissions or the disk"),
    ),
    "unread-folders": Kind(
        _W, N_("{count} paths in vault {vault} could not be looked at: what is in them is not known"),
        N_("the daemon must be able to read everything in it: see vaultd doctor"),
    ),
    "in-motion": Kind(
        _I, N_("{files} files of vault {vault} are written to all the time: they are protected as they were at one "
               "moment, and again no more often than the objective says"),
        N_("for a database, name a dump command in the configuration ([[vault.dump]])"),
    ),
    "dump-failed": Kind(
        _C, N_("the dump {name} of vault {vault} failed: {error}"),
        N_("run its command by hand as the daemon's user"),
    ),
    "overdue": Kind(
        _C, N_("vault {vault} is overdue at target {target}: its oldest unprotected change is {seconds} old, "
               "the objective is {objective_seconds}"),
        N_("see vaultd status, and the other alerts for the cause"),
    ),
    "retention": Kind(
        _W, N_("old snapshots of vault {vault} are not removed at target {target}: {error}"),
        N_("see what would go: vaultd forget {vault}"),
    ),
    # The target
    "target-unreachable": Kind(
        _W, N_("target {target} does not answer: {error}"),
        N_("changes are kept and sent when it returns; try vaultd target check {target}"),
    ),
    "host-key": Kind(
        _C, N_("the server of target {target} shows a host key that is not the one you confirmed: not connected"),
        N_("ask its administrator for the new fingerprint; only if it is the same: vaultd target trust {target}"),
    ),
    "authentication": Kind(
        _C, N_("target {target} refuses us: {error}"),
        N_("check the user, the key and the repository password: vaultd target check {target}"),
    ),
    "repository-missing": Kind(
        _C, N_("target {target} holds no repository where there was one"),
        N_("is its disk mounted? To begin anew there: vaultd init, then vaultd target trust {target} --repository"),
    ),
    "repository-foreign": Kind(
        _C, N_("the repository at target {target} is another one than before: nothing is written to it"),
        N_("check the path of the target; if it is meant: vaultd target trust {target} --repository"),
    ),
    "repository-locked": Kind(
        _W, N_("the repository at target {target} is locked by {owner}"),
        N_("wait for it to end; only a lock of our own dead run is lifted by vaultd"),
    ),
    "snapshots-missing": Kind(
        _C, N_("{snapshots} snapshots of vault {vault} are gone from target {target}: it is protected there anew"),
        N_("find out who removed them; then: vaultd alert ack NUMBER"),
    ),
    "repository-damaged": Kind(
        _C, N_("the repository at target {target} is damaged: {error}"),
        N_("keep the other targets, and see docs/repository.md"),
    ),
    "target-full": Kind(
        _C, N_("target {target} is full: {error}"),
        N_("make room there or apply retention; changes are kept and sent afterwards"),
    ),
    "target-read-only": Kind(
        _C, N_("target {target} cannot be written to: {error}"),
        N_("check permissions and the mount options of the file system there"),
    ),
    "verify-difference": Kind(
        _C, N_("what target {target} stores of vault {vault} is not as on record: {files} files or snapshots"),
        N_("keep the repository as it is; vaultd verify {vault} --target {target} names them, and what is still whole"),
    ),
    "verify-overdue": Kind(
        _W, N_("not everything at target {target} was read back within {objective_seconds}"),
        N_("give the verification more time ([verify] window, limit), or run vaultd verify --target {target}"),
    ),
    "packs-damaged": Kind(
        _C, N_("{packs} packs at target {target} are gone or not as they were stored: file versions in them are lost "
               "there, perhaps of older snapshots alone"),
        N_("keep the repository as it is; vaultd repair VAULT --target {target} --dry-run names them, and without "
           "--dry-run mends what is elsewhere"),
    ),
    # The watch
    "watch-limit": Kind(
        _W, N_("the kernel's limit of watched folders is reached in vault {vault}: "
               "changes are found by scanning, later than they could be"),
        N_("raise fs.inotify.max_user_watches, see vaultd doctor"),
    ),
    "watch-overflow": Kind(
        _I, N_("more changes at once in vault {vault} than the kernel's queue holds: the vault is scanned"),
        N_("raise fs.inotify.max_queued_events, see vaultd doctor"),
    ),
    "watch-dead": Kind(
        _W, N_("the watch of vault {vault} does not see changes any more: the vault is scanned instead"),
        N_("restart the daemon; if it comes again, set poll = true for the vault"),
    ),
    # The media register
    "media-overdue": Kind(
        _W, N_("{count} media were to be back and are not: {labels}"),
        N_("see who has them: vaultd media list --overdue"),
    ),
    "media-unsigned": Kind(
        _I, N_("{count} signatures for media are owed, the oldest for {seconds}"),
        N_("see which: vaultd media items; then vaultd media sign EVENT"),
    ),
    "media-missing": Kind(
        _W, N_("an audit did not find {count} media, or found them elsewhere: {labels}"),
        N_("look for them; when one is found: vaultd media scan LABEL --place PLACE"),
    ),
    "media-stock": Kind(
        _I, N_("{count} kinds of emergency supplies are short or were not checked in time: {names}"),
        N_("see vaultd media stock list"),
    ),
    # Notices
    "notices-waiting": Kind(
        _W, N_("{count} notices are not sent, the oldest since {seconds}"),
        N_("does the courier run? systemctl status vaultd-courier; what waits, and why: vaultd notify list"),
    ),
    "notices-failed": Kind(
        _W, N_("{count} notices were not sent, and are given up: {channels}"),
        N_("see vaultd notify list --all, and try the channel: vaultd notify test; then: vaultd alert ack NUMBER"),
    ),
    # Persons and approvals
    "approval-late": Kind(
        _W, N_("{count} approvals are owed for what was done, the oldest for {seconds}"),
        N_("see which: vaultd approvals list; then vaultd approve REQUEST"),
    ),
    "person-on-paper": Kind(
        _W, N_("{name} was accepted as a person who approves by a sheet of paper ({sheet}), not by a director's key"),
        N_("check that the sheet is there and who has signed it; then: vaultd alert ack NUMBER"),
    ),
    # Warnings
    "warning-unanswered": Kind(
        _C, N_("warning {warning} is not acknowledged by {names}, and nobody else is on the roster"),
        N_("ring them: vaultd warning ring {warning}"),
    ),
    "power-unknown": Kind(
        _W, N_("the UPS {ups} does not say whether there is power: {error}"),
        N_("see what `upsc {ups} ups.status` says; who watches the UPS: systemctl status nut-server"),
    ),
    # The host
    "disk-gone": Kind(
        _C, N_("disk {disk} in bay {bay} is gone; it holds {vaults}"),
        N_("find out who has it, and whether the data is still whole: vaultd disks list. If it is meant: "
           "vaultd alert ack NUMBER"),
    ),
    "clock-backwards": Kind(
        _W, N_("the clock was set back by {seconds}: the order of snapshots is kept, their times are not true"),
        N_("check the time service of this host"),
    ),
    "restic": Kind(_C, N_("restic failed: {error}"), N_("see vaultd doctor")),
    "state": Kind(
        _C, N_("the state folder cannot be used: {error}"), N_("check its disk and permissions, see vaultd doctor")
    ),
    "state-full": Kind(
        _C, N_("the disk of the state folder is almost full: {free_bytes} left"), N_("make room on it")
    ),
    "ledger": Kind(
        _C, N_("the ledger cannot be written to: {error}. Protection goes on, and what happens is recorded later"),
        N_("vaultd ledger verify says what is wrong with it; make room, or bring folder and key back"),
    ),
    "ledger-stopped": Kind(
        _C, N_("the ledger signs nothing more: {error}. Protection goes on, and what happens is recorded later"),
        N_("find out who changed it. Bring the newer folder back, or begin a new log: vaultd ledger continue"),
    ),
    "ledger-missing": Kind(
        _C, N_("there is no ledger: nothing that is protected is on a record which outsiders can check"),
        N_("make it: vaultd ledger init"),
    ),
    "ledger-inconsistent": Kind(
        _C, N_("{target} has another history of the ledger: {error}"),
        N_("find out who changed what: vaultd ledger verify, and docs/ledger.md"),
    ),
    "anchor-overdue": Kind(
        _W, N_("{target} has not kept the ledger's newest checkpoints for {objective_seconds}: until it does, who "
               "takes this host over can rewrite what happened since"),
        N_("see vaultd target check, or the address of the witness or authority in the configuration"),
    ),
    "kit-expired": Kind(
        _W, N_("the recovery kit {kit} was good until {day}: its custodians have no valid one"),
        N_("make a new one and hand it out: vaultd kit create; then vaultd kit revoke {kit}"),
    ),
    "drill-overdue": Kind(
        _W, N_("no evacuation was practised for {seconds}; it is to be every {every_seconds}"),
        N_("practise one: vaultd evacuate start --drill"),
    ),
    "internal": Kind(
        _C, N_("something failed inside vaultd: {error}"),
        N_("this is a bug: report it with the log (journalctl -u vaultd)")
    ),
}  # fmt: skip


def severity(code: str) -> Severity:
    """How bad; an unknown code (of a newer vaultd) counts as a warning."""
    kind = KINDS.get(code)
    return Severity.WARNING if kind is None else kind.severity


def text(code: str, vault: str, target: str, detail: Mapping[str, object]) -> str:
    """What happened, in the chosen language."""
    kind = KINDS.get(code)
    if kind is None:
        known = ", ".join(f"{key}={value}" for key, value in detail.items())
        return _("alert {code}: {detail}").format(code=code, detail=known or "-")
    return _fill(kind.text, vault, target, detail)


def hint(code: str, vault: str, target: str, detail: Mapping[str, object]) -> str:
    """What to do, in the chosen language; empty for an unknown code."""
    kind = KINDS.get(code)
    return _fill(kind.hint, vault, target, detail) if kind else ""


class _Shown(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def _fill(message: str, vault: str, target: str, detail: Mapping[str, object]) -> str:
    shown = _Shown({key: _show(key, value) for key, value in detail.items()})
    if vault:
        shown["vault"] = vault
    if target:
        shown["target"] = target
    return _(message).format_map(shown)


def _show(key: str, value: object) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if key.endswith("bytes"):
            return units.size(value)
        if key.endswith("seconds"):
            return units.duration(value)
        if key.endswith("share"):
            return f"{value:.0%}"
        if isinstance(value, int):
            return units.number(value)
    return str(value)
