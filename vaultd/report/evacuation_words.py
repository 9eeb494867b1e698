"""The names of what evacuations have on record, for people. What has no name here is shown as it is on record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from vaultd import units
from vaultd.i18n import N_, _
from vaultd.report import words

_STATES = {
    # steps of an evacuation
    "ordered": N_("ordered"), "judged": N_("judged"), "taken up": N_("taken up again"),
    "interrupted": N_("interrupted"), "copied": N_("all copied"), "ended": N_("ended"), "refused": N_("refused"),
    "going on": N_("going on"),
    # tiers, batches
    "planned": N_("planned"), "safe": N_("safe"), "exact": N_("exact"), "short": N_("short"),
    "broken": N_("broken off"),
    # the daemon
    "started": N_("started"), "stopped": N_("stopped"), "killed": N_("started after it was killed"),
    "rebooted": N_("started after the host"),
    # disks
    "signed-off": N_("signed off"), "received": N_("received"), "unplugged": N_("unplugged"),
    # warnings, answers, notices, approvals, steps of playbooks
    "proposed": N_("proposed"), "issued": N_("issued"), "adjusted": N_("adjusted"), "lifted": N_("lifted"),
    "declined": N_("declined"), "acknowledged": N_("acknowledged"), "repeated": N_("told again"),
    "escalated": N_("escalated"), "sent": N_("sent"), "open": N_("not closed"), "used": N_("used"),
    "expired": N_("expired"), "withdrawn": N_("withdrawn"), "approved": N_("approved"), "skipped": N_("skipped"),
    "undone": N_("undone"), "done": N_("done"), "dropped": N_("dropped"),
}  # fmt: skip

_LANES = {
    "order": N_("evacuation"), "tier": N_("tier"), "broken": N_("batch"), "alert": N_("alert"), "daemon": N_("daemon"),
    "disk": N_("disk"), "warning": N_("early warning"), "answer": N_("answer"), "notice": N_("notices"),
    "step": N_("playbook"), "approval": N_("approval"),
}  # fmt: skip

_CATEGORIES = {
    "unspecified": N_("not stated"), "fire": N_("fire"), "flood": N_("flood"), "theft": N_("theft"),
    "power-cut": N_("power cut"), "leak-or-loss": N_("leak or loss"),
    "hardware": N_("failing hardware"), "tampering": N_("tampering"),
    "line-down": N_("no line off-site"), "other": N_("other"),
}  # fmt: skip

_ROLES = {
    "director": N_("director"), "operator": N_("operator"), "custodian": N_("custodian"), "auditor": N_("auditor"),
    "released-by": N_("released by"), "received-by": N_("received by"), "witness": N_("witness"),
    "approver": N_("approved by"),
}  # fmt: skip

_SOURCES = {
    "host-clock-synchronised": N_("clock of the host, synchronised"), "host-clock": N_("clock of the host"),
    "stated": N_("written down by hand"),
    "command": N_("by command"), "telephone": N_("by telephone"), "in person": N_("in person"),
}  # fmt: skip

_OPEN = {
    "approval": N_("approval missing"), "answer": N_("warning not acknowledged"), "notice": N_("notice not delivered"),
    "step": N_("step of the playbook not done"), "receipt": N_("receipt missing"), "sign-off": N_("sign-off missing"),
    "signature": N_("signature missing"), "register": N_("not in the register of media"),
    "medium": N_("medium not returned"),
}  # fmt: skip

_ACTIONS = {
    "remove": N_("removed from its machine"), "send": N_("sent"), "deposit": N_("deposited"),
    "return": N_("returned"), "install": N_("put into service"), "hand-over": N_("handed over"),
    "check-out": N_("checked out"), "check-in": N_("checked in"), "destroy": N_("destroyed"),
}  # fmt: skip

_MEASURED = {
    "tier-safe": N_("payload safe"), "sampled-restore": N_("sampled restore"),
    "answers": N_("everybody has answered"), "restore": N_("sampled restore"),
}  # fmt: skip

_FIELDS = {
    "level": N_("level"), "category": N_("category"), "report": N_("reported by"), "on_duty": N_("on duty"),
    "director": N_("directed by"), "note": N_("note"), "tier": N_("tier"), "label": N_("label"), "to": N_("to"),
    "seal": N_("seal"), "by": N_("by"), "time_source": N_("time from"), "warning": N_("early warning"),
    "signal": N_("signal"), "count": N_("times"), "person": N_("person"), "how": N_("how"), "of": N_("about"),
    "channel": N_("channel"), "attempts": N_("attempts"), "playbook": N_("playbook"), "step": N_("step"),
    "text": N_("text"), "action": N_("action"), "requester": N_("asked by"), "roles": N_("roles"), "role": N_("role"),
    "code": N_("alert"), "size": N_("size"),
}  # fmt: skip


def state(text: str) -> str:
    """A state of an evacuation and of what belongs to it."""
    return _(_STATES.get(text, "")) or words.word(text)


def lane(text: str) -> str:
    """What kind of event it is."""
    return _(_LANES.get(text, "")) or text


def category(text: str) -> str:
    """What kind of emergency it is."""
    return _(_CATEGORIES.get(text, "")) or text


def role(text: str) -> str:
    """A role, or "role: name"."""
    name, colon, person = text.partition(": ")
    known = _(_ROLES.get(name, "")) or name
    return known + colon + person


def source(text: str) -> str:
    """Where a time is from, or how somebody has answered."""
    return _(_SOURCES.get(text, "")) or text


def open_item(kind: str) -> str:
    """What is owed."""
    return _(_OPEN.get(kind, "")) or kind


def action(text: str) -> str:
    """What happened to a medium last."""
    return _(_ACTIONS.get(text, "")) or text


def measured(text: str) -> str:
    """What a drill has measured."""
    return _(_MEASURED.get(text, "")) or text


def elapsed(moment: str, order: str) -> str:
    """How long after the order a moment is; with a minus for what was before it."""
    count = (datetime.fromisoformat(moment) - datetime.fromisoformat(order)).total_seconds()
    return f"-{units.duration(-count)}" if count < 0 else units.duration(count)


_DULL = (None, "", "host-clock-synchronised")
"""What is not worth a word."""


def details(found: Mapping[str, Any]) -> str:
    """The fields of an event in a line."""
    return "; ".join(f"{_(_FIELDS.get(name, '')) or words.field(name)}: {_value(name, one)}"
                     for name, one in found.items() if one not in _DULL)  # fmt: skip


def _value(name: str, found: Any) -> str:
    if name == "category":
        return category(str(found))
    if name in ("time_source", "how"):
        return source(str(found))
    if name in ("role", "roles"):
        return ", ".join(map(role, found)) if isinstance(found, list) else role(str(found))
    if name == "code":
        return words.alert(str(found))
    if name in ("files", "attempts", "count") and isinstance(found, int):
        return units.number(found)
    return words.value(name, found)
