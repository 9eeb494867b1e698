"""Auditing a room: what was scanned there against what the register has there. And single sightings by a scanner."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass

from vaultd.custody import owe
from vaultd.i18n import _
from vaultd.ledger.events import MediaAudited
from vaultd.media import numbering
from vaultd.media.faults import MediaError
from vaultd.media.machine import Status
from vaultd.media.register import Register, clean
from vaultd.store.mediarows import Medium

MISSING, MISPLACED = "missing", "misplaced"


@dataclass(frozen=True, slots=True)
class Walked:
    """``found``: registered there and there; ``missing``; ``misplaced``: here, registered elsewhere (or destroyed, or
    in transit); ``foreign``: labels that are in no register here; ``out``: registered there and checked out."""

    place: str
    found: list[Medium]
    missing: list[Medium]
    misplaced: list[Medium]
    foreign: list[str]
    out: list[Medium]

    @property
    def whole(self) -> bool:
        """Whether everything is as the register has it."""
        return not (self.missing or self.misplaced or self.foreign)


def audit(register: Register, place: str, scanned: Iterable[str]) -> Walked:
    """Compare, keep what was seen, and put it on record. Raises MediaError for a place that nobody knows."""
    place = clean(place, "place")
    store = register.store
    with store.database.write():
        expected = [one for one in store.media(equal={"location": place}) if one.status != Status.DESTROYED]
        walked = _compare(register, place, expected, _labels(scanned))
        if not expected and not walked.misplaced:
            raise MediaError(
                _("audit of {place}").format(place=place), _("the register has nothing there"),
                _("is the place written as in the register? vaultd media list --location PLACE"),
            )  # fmt: skip
        now = time.time_ns()
        for medium in walked.found:
            store.change_medium(medium.id or 0, {"seen": now, "seen_where": place, "trouble": ""})
        for medium in walked.misplaced:
            store.change_medium(medium.id or 0, {"seen": now, "seen_where": place, "trouble": MISPLACED})
        for medium in walked.missing:
            store.change_medium(medium.id or 0, {"trouble": MISSING})
        labels = {
            "missing": [one.label for one in walked.missing], "misplaced": [one.label for one in walked.misplaced],
            "foreign": walked.foreign,
        }  # fmt: skip
        store.add_media_audit(now, place, json.dumps(labels, ensure_ascii=False))
        body = MediaAudited(
            place, len(expected) - len(walked.out), len(walked.found), labels["missing"], labels["misplaced"],
            labels["foreign"], register.who,
        )  # fmt: skip
        owe(store, register.config.host.state, body)
    return walked


def _labels(scanned: Iterable[str]) -> list[str]:
    """What was scanned, each once; what can be no label stays as it is, and is foreign."""
    found: dict[str, None] = {}
    for text in scanned:
        if text.strip():
            try:
                found[numbering.normal(text)] = None
            except MediaError:
                found[ascii(text.strip())[:80]] = None
    return list(found)


def _compare(register: Register, place: str, expected: list[Medium], labels: list[str]) -> Walked:
    there = set(labels)
    wanted = {one.label for one in expected}
    walked = Walked(place, [], [], [], [], [])
    for medium in expected:
        if medium.label in there:
            walked.found.append(medium)
        elif medium.due is not None:
            walked.out.append(medium)
        else:
            walked.missing.append(medium)
    for label in labels:
        if label not in wanted:
            known = register.store.medium(label)
            if known is None:
                walked.foreign.append(label)
            else:
                walked.misplaced.append(known)
    return walked


def sight(register: Register, label: str, place: str) -> Medium:
    """Somebody has seen a medium at a place: the register keeps it. Raises NoMediumError."""
    place = clean(place, "place")
    with register.store.database.write():
        found = register.find(label)
        trouble = "" if place == found.location else MISPLACED
        register.store.change_medium(
            found.id or 0, {"seen": time.time_ns(), "seen_where": place, "trouble": trouble}
        )  # fmt: skip
        return register.find(label)
