"""Bays that a person has looked at: lit, seen, scanned. Their word wins over the firmware's, whose numbers are wrong or
double on some machines.

Kept by the disk, with what the firmware said then: when it says something else later, the disk has moved, and the word
no longer holds.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from vaultd import files
from vaultd.disks.model import Bay, Disk, Inventory
from vaultd.errors import ConfigError, StateError
from vaultd.i18n import _
from vaultd.names import display

CONFIRMED = "confirmed"
"""The source of such a bay."""

MOVED, DOUBLE = "moved", "double-slot"
VERSION = 1
LONGEST = 60
"""Characters of a bay's name."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A bay as somebody has seen it. ``firmware``: what the machine said of it then, empty for nothing; ``time``:
    nanoseconds since 1970."""

    bay: str
    firmware: str
    time: int
    who: str


def file_in(state: Path) -> Path:
    """Where they are kept."""
    return state / "bays.json"


def read(state: Path) -> dict[str, Confirmed]:
    """The confirmed bays by the key of their disk. Raises StateError."""
    file = file_in(state)
    what = _("the confirmed bays {file}").format(file=display(file))
    try:
        found = json.loads(file.read_bytes())
        if found["version"] != VERSION:
            raise StateError(what, _("it is of version {version}").format(version=found["version"]))
        return {
            str(key): Confirmed(str(one["bay"]), str(one["firmware"]), int(one["time"]), str(one["who"]))
            for key, one in found["bays"].items()
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StateError(what, error.strerror or str(error)) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StateError(what, _("it is damaged"), _("remove it, and confirm the bays anew")) from None


def confirm(state: Path, known: Mapping[str, Confirmed], disk: Disk, bay: str, who: str, disks: Inventory) -> Confirmed:
    """Keep that a disk is in a bay. ``disk`` as the firmware has it. Raises ConfigError for a bay in which somebody has
    seen another disk that is still there, and for a name that is none."""
    if not bay.strip() or len(bay) > LONGEST or not bay.isprintable():
        raise ConfigError(
            _("bay {bay}").format(bay=display(bay)), _("this is no name of a bay"),
            _("as it is written on the chassis, on one line, at most {count} characters").format(count=LONGEST),
        )  # fmt: skip
    here = {one.key for one in disks.disks if "gone" not in one.problems}
    for key, other in known.items():
        if other.bay == bay and key != disk.key and key in here and holds(other, _found(disks, key)):
            raise ConfigError(
                _("bay {bay}").format(bay=bay), _("disk {disk} was seen in it").format(disk=_found(disks, key).serial),
                _("look at that one again first, and confirm its bay"),
            )  # fmt: skip
    new = Confirmed(bay, _firmware(disk), time.time_ns(), who)
    kept = {key: one for key, one in known.items() if one.bay != bay} | {disk.key: new}
    document = {"version": VERSION, "bays": {key: asdict(one) for key, one in sorted(kept.items())}}
    try:
        files.replace(file_in(state), json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n")
    except OSError as error:
        raise StateError(_("the bay cannot be kept"), error.strerror or str(error)) from error
    return new


def apply(known: Mapping[str, Confirmed], found: Inventory) -> Inventory:
    """An inventory with the confirmed bays. A disk that has moved since gets the code "moved"; a firmware's bay that a
    confirmed one takes, or that several disks have, the code "double-slot"."""
    disks = []
    for disk in found.disks:
        word = known.get(disk.key)
        if word is None:
            disks.append(disk)
        elif holds(word, disk):
            disks.append(replace(disk, bay=Bay(word.bay, CONFIRMED)))
        else:
            disks.append(replace(disk, problems=(*disk.problems, MOVED)))
    count = Counter(disk.bay.text for disk in disks if disk.bay is not None)
    return replace(found, disks=tuple(_marked(disk, count) for disk in disks))


def _marked(disk: Disk, count: Mapping[str, int]) -> Disk:
    others = tuple(problem for problem in disk.problems if problem != DOUBLE)
    double = disk.bay is not None and disk.bay.source != CONFIRMED and count[disk.bay.text] > 1
    return replace(disk, problems=(*others, DOUBLE) if double else others)


def holds(word: Confirmed, disk: Disk) -> bool:
    """Whether a word still holds: the firmware says of the disk what it said then."""
    return word.firmware == _firmware(disk) or (disk.bay is not None and disk.bay.source == CONFIRMED)


def _firmware(disk: Disk) -> str:
    return disk.bay.text if disk.bay is not None and disk.bay.source != CONFIRMED else ""


def _found(disks: Inventory, key: str) -> Disk:
    return next(one for one in disks.disks if one.key == key)
