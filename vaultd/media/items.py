"""What is open: signatures that are owed, media that are overdue or missing, supplies, lists for destruction, and disks
of a vault that are in no register. The alerts for them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from vaultd.disks.model import Disk, Inventory
from vaultd.i18n import _
from vaultd.media import people, supplies, words
from vaultd.media.register import CHECK
from vaultd.media.safety import OnDisk
from vaultd.store import Store
from vaultd.store.mediarows import Medium
from vaultd.units import local

NAMED = 5
"""So many labels an alert names."""
GRACE = 86400 * 10**9
"""So long (nanoseconds) a signature may be owed before it is an alert; it is an open item at once."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something that somebody has to do. ``kind``: "signature", "approval", "overdue", "missing", "misplaced",
    "destruction", "stock", "unregistered", "unchecked"; ``subject``: a label, an event, a list, an item of the stock, a
    disk's key. ``since``: nanoseconds since 1970, None where that is not known."""

    kind: str
    subject: str
    text: str
    since: int | None = None


def open_items(store: Store, today: date, now: int, inventory: Inventory | None = None) -> list[Item]:
    """All of them, signatures first. ``inventory``: the disks as they were seen last."""
    found = [*_signatures(store)]
    for medium in store.media(overdue_at=now):
        text = _("{who} was to bring it back by {day}").format(who=medium.borrower, day=local(medium.due or 0)[:10])
        found.append(Item("overdue", medium.label, text, medium.due))
    for medium in store.media(trouble=True):
        found.append(_trouble(medium))
    found += _on_the_spot(store)
    for row in store.destructions("requested"):
        event = store.media_event_numbered(row.event)
        found.append(Item("destruction", row.number, _("it waits for approval or execution"), event.at))
    for row in store.destructions("executed"):
        event = store.media_event_numbered(row.execution or row.event)
        found.append(Item("destruction", row.number, _("its certificate was not made yet"), event.at))
    for stock in store.stock():
        texts = {
            "short": _("{count} are there, {least} should be").format(count=stock.quantity, least=stock.least),
            "unchecked": _("it was to be checked by {day}").format(day=supplies.next_check(stock) or "-"),
        }
        found += [Item("stock", stock.name, texts[one]) for one in supplies.problems(stock, today)]
    if inventory is not None:
        found += [
            Item("unregistered", disk.key, _unregistered_text(disk, vaults), inventory.time)
            for disk, vaults in unregistered(inventory, store)
        ]
    return found


def to_be_checked(store: Store, label: str) -> None:
    """A medium was registered in a hurry: an open item until its record is changed, or said to be right."""
    store.set_meta(CHECK + label, str(time.time_ns()))


def _on_the_spot(store: Store) -> Iterable[Item]:
    for key in sorted(store.meta_keys(CHECK)):
        label = key.removeprefix(CHECK)
        text = _("registered on the spot: look at its classification, period and custodian, then vaultd media change")
        yield Item("unchecked", label, text, int(store.get_meta(key) or 0))


def _signatures(store: Store) -> Iterable[Item]:
    for event, owed in store.owed_signatures():
        kind = "approval" if owed.role == people.APPROVER or owed.role.startswith("approval-") else "signature"
        text = _("{name} has to sign as {role} for {action} of {labels}").format(
            name=owed.person, role=owed.role, action=event.action, labels=named(labels_of(event.statement)),
        )  # fmt: skip
        yield Item(kind, event.uid, text, event.at)


def _trouble(medium: Medium) -> Item:
    if medium.trouble == "missing":
        text = _("an audit of {place} did not find it").format(place=medium.location)
    else:
        text = _("it was seen at {seen}, and belongs to {place}").format(
            seen=medium.seen_where, place=medium.location or medium.bound_for or "-"
        )
    return Item(medium.trouble, medium.label, text, medium.seen)


def labels_of(statement: str) -> list[str]:
    """The labels that an event is about."""
    return [str(one) for one in json.loads(statement).get("labels", [])]


def named(labels: Sequence[str]) -> str:
    """Some labels for people."""
    shown = ", ".join(labels[:NAMED])
    return shown if len(labels) <= NAMED else f"{shown}, ..."


# disks


def registered(disk: Disk, store: Store) -> Medium | None:
    """The medium that a disk is: by its WWN where it has one, else by its serial number."""
    found = store.media_with_identity("", disk.wwn) if disk.wwn else []
    found = found or store.media_with_identity(disk.serial, "")
    alike = [one for one in found if not one.model or not disk.model or one.model == disk.model]
    return next(iter(alike or found), None)


def unregistered(inventory: Inventory, store: Store) -> list[tuple[Disk, list[str]]]:
    """The disks that hold bytes of a vault and are in no register, and the vaults' names."""
    vaults: dict[str, list[str]] = {}
    for one in inventory.maps:
        for key in one.every:
            if one.vault is not None:
                vaults.setdefault(key, []).append(one.vault)
    return [
        (disk, vaults[disk.key]) for disk in inventory.disks if disk.key in vaults and registered(disk, store) is None
    ]


def on_disk(inventory: Inventory | None, store: Store) -> OnDisk:
    """Which vaults a medium holds bytes of: those that the register names, and those that the map of disks knows."""

    def of(medium: Medium) -> list[str]:
        found = list(medium.vault_names)
        for disk in () if inventory is None else inventory.disks:
            known = registered(disk, store)
            if known is not None and known.label == medium.label:
                found += [
                    one.vault for one in (inventory.maps if inventory else ())
                    if one.vault is not None and disk.key in one.every
                ]  # fmt: skip
        return list(dict.fromkeys(found))

    return of


def _unregistered_text(disk: Disk, vaults: Sequence[str]) -> str:
    size = words.capacity_text(disk.size)
    what = " ".join(part for part in (disk.model, disk.serial, size) if part.strip())
    return _("{disk} has bytes of {vaults} and is in no register").format(disk=what, vaults=", ".join(vaults))


# alerts


def raise_alerts(store: Store, now: int | None = None) -> None:
    """Raise what is overdue, owed, missing or short, and clear what is not any more. Called from time to time.

    Raises StateError.
    """
    now = time.time_ns() if now is None else now
    today = datetime.fromtimestamp(now // 10**9).astimezone().date()
    overdue = [one.label for one in store.media(overdue_at=now, limit=NAMED + 1)]
    _say(store, "media-overdue", len(overdue), {
        "count": store.count_media(overdue_at=now) if overdue else 0, "labels": named(overdue)})  # fmt: skip
    owed = store.owed_signatures()
    oldest = min((event.at for event, _row in owed), default=now)
    late = len(owed) if now - oldest > GRACE else 0
    _say(store, "media-unsigned", late, {"count": len(owed), "seconds": max(0, (now - oldest) // 10**9)})
    trouble = [one.label for one in store.media(trouble=True, limit=NAMED + 1)]
    _say(store, "media-missing", len(trouble), {
        "count": store.count_media(trouble=True) if trouble else 0, "labels": named(trouble)})  # fmt: skip
    short = [row.name for row in store.stock() if supplies.problems(row, today)]
    _say(store, "media-stock", len(short), {"count": len(short), "names": named(short)})


def _say(store: Store, code: str, count: int, detail: dict[str, object]) -> None:
    if count:
        store.alerts.raise_(code, detail=detail)
    else:
        store.alerts.clear(code)
