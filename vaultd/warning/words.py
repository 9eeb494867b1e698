"""Levels, states, categories and signals: the words of the record, and what people read for them.

A category may be any text; those of here are the ones that signals use and that playbooks are named after.
"""

from __future__ import annotations

from dataclasses import dataclass

from vaultd.i18n import N_, _

LEVEL_WORDS = {"I": N_("I (very serious)"), "II": N_("II (serious)"), "III": N_("III (ordinary)")}
STATE_WORDS = {
    "proposed": N_("proposed"), "issued": N_("issued"), "adjusted": N_("adjusted"), "lifted": N_("lifted"),
    "declined": N_("declined"),
}  # fmt: skip
CATEGORIES = {
    "fire": N_("fire"), "flood": N_("flood"), "theft": N_("theft"), "power-cut": N_("power cut"),
    "leak-or-loss": N_("leak or loss"), "hardware": N_("failing hardware"), "tampering": N_("tampering"),
    "line-down": N_("no line off-site"), "unspecified": N_("unspecified"),
}  # fmt: skip
ACTION_WORDS = {
    "protect": N_("bring everything pending off-site"), "hurry": N_("scan and verify without rests"),
    "evacuate": N_("start an evacuation"),
}  # fmt: skip
HOW_WORDS = {"command": N_("by command"), "telephone": N_("by telephone"), "in person": N_("in person")}


@dataclass(frozen=True, slots=True)
class Signal:
    """What a proposal of this signal says: its category, and texts (msgids) that people read in their language."""

    category: str
    text: str
    cautions: str
    measures: str


SIGNAL_WORDS: dict[str, Signal] = {
    "power-lost": Signal(
        "power-cut", N_("power is lost"), N_("the machine ends when the battery is empty"),
        N_("find out how long the battery lasts; bring everything off-site while there is power"),
    ),
    "smart-failed": Signal(
        "hardware", N_("a disk says that it is failing"), N_("what is on it may be lost any moment"),
        N_("see vaultd disks list; have it replaced, and what is on it brought off-site first"),
    ),
    "disk-gone": Signal(
        "leak-or-loss", N_("a disk that holds a vault is gone"), N_("it may have been stolen"),
        N_("find out who has it; see the playbook for theft"),
    ),
    "target-lost": Signal(
        "line-down", N_("a target is out of reach for longer than its objective"),
        N_("what changes now is on this machine alone"), N_("mend the line; see vaultd status"),
    ),
    "mass-change": Signal(
        "tampering", N_("many files were changed or deleted at once"),
        N_("somebody, or a program, may be destroying them"),
        N_("find out who does it, and cut that machine off; old snapshots are kept"),
    ),
    "ledger-fault": Signal(
        "tampering", N_("the ledger is not as it was signed, or cannot be written to"),
        N_("what is on record may have been changed"), N_("see vaultd ledger verify, and what others hold of it"),
    ),
    "host-key": Signal(
        "tampering", N_("a server shows another host key"), N_("it may be another server: nothing is sent there"),
        N_("ask its administrator, by a way that you know, whether the key was changed"),
    ),
}  # fmt: skip


def level(name: str) -> str:
    """A level for people."""
    return _(LEVEL_WORDS.get(name, name))


def state(name: str) -> str:
    """A state for people."""
    return _(STATE_WORDS.get(name, name))


def category(name: str) -> str:
    """A category for people: as it was written, where it is none of ours."""
    return _(CATEGORIES.get(name, name))


def signal(name: str) -> str:
    """A signal for people."""
    found = SIGNAL_WORDS.get(name)
    return _(found.text) if found is not None else name


def action(name: str) -> str:
    """What is set in motion, for people."""
    return _(ACTION_WORDS.get(name, name))


def shown(text: str) -> str:
    """A text of a warning for people: one that vaultd has written itself in their language, any other as it is."""
    return _(text)
