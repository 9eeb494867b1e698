"""A pull list: values only. Times are nanoseconds since 1970, sizes bytes."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from vaultd.disks.model import Disk
from vaultd.units import SECOND, rfc3339

RELEASED = "disk-released:"
"""Of the state's values: under this and a disk's key is when it was let go, so that its absence is no alert."""


class Do(StrEnum):
    """What a step does."""

    POWER_OFF = "power-off"  # the running system stands on the disk: a person does it
    STOP_USERS = "stop-users"
    SYNC = "sync"
    UNMOUNT = "unmount"
    SWAP_OFF = "swap-off"
    EXPORT = "export"  # a ZFS pool
    LOOP = "loop"
    LVM = "lvm"
    CRYPT = "crypt"
    HOLD = "hold"  # arrays are not assembled by themselves, until the end
    ARRAY = "array"
    MULTIPATH = "multipath"
    BCACHE = "bcache"
    MAPPING = "mapping"  # another one of the device mapper's
    FREE = "free"  # nothing holds the disk: looked at only
    DETACH = "detach"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a command (``argv``), or a text that is written to a file (``write``: file and text), or neither when
    it is only looked at. ``subject``: what it is done to, as people know it. ``gone``: kernel names of what must not be
    there any more afterwards; for a mount its number."""

    do: Do
    subject: str
    argv: tuple[str, ...] = ()
    write: tuple[str, str] | None = None
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class User:
    """A process that holds something of a disk. ``unit``: its service, when systemd has started it."""

    pid: int
    name: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Procedure:
    """How a disk is let go. ``users``: who must stop first; ``users_seen`` False: whoever made this could not look into
    other users' processes."""

    steps: tuple[Step, ...]
    users: tuple[User, ...] = ()
    users_seen: bool = True


@dataclass(frozen=True, slots=True)
class Need:
    """A vault as the order needs it: priority 1 goes first; ``pending_files`` and ``pending_bytes`` are content that no
    target has; ``known`` False: it was never looked through, so nobody knows how much that is."""

    vault: str
    priority: int
    classification: str = ""
    custodian: str = ""
    pending_files: int = 0
    pending_bytes: int = 0
    known: bool = True


@dataclass(frozen=True, slots=True)
class Label:
    """What the register says of a disk: label number, custodian."""

    number: str
    custodian: str = ""


@dataclass(frozen=True, slots=True)
class Gone:
    """Who has signed for a disk that left: ``by`` gave it ``to`` somebody. ``time``: when, nanoseconds since 1970, and
    by which clock (``source``; "stated": as it was written on paper)."""

    by: str
    to: str
    seal: str
    time: int
    label: str
    source: str


@dataclass(frozen=True, slots=True)
class Pull:
    """A disk of the list. ``needed``: it belongs to a copy that the order completes, else it only must not be left
    behind. ``completes``: vaults of which a whole copy is carried once it is out, and was not before. ``leaks``: vaults
    of which it holds bytes that anybody can read. ``pending_*``: of the vaults on it, content that no target has.
    ``notes``: codes, see ``order``. ``gone``: it has left, and who has signed for it."""

    number: int
    disk: Disk
    vaults: tuple[str, ...]
    needed: bool
    completes: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    pending_files: int = 0
    pending_bytes: int = 0
    label: Label | None = None
    notes: tuple[str, ...] = ()
    procedure: Procedure | None = None
    gone: Gone | None = None


@dataclass(frozen=True, slots=True)
class VaultLine:
    """A vault of the list. ``after``: the number of the disk after which a whole copy is carried, None when that cannot
    be promised. ``disks``: numbers of all that hold any byte. ``notes``: codes, see ``order``."""

    need: Need
    after: int | None
    disks: tuple[int, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Noticed:
    """A medium of the register that is plugged in, holds nothing of a vault, and is not in use."""

    label: str
    device: str

    @property
    def command(self) -> str:
        """What root types to make it a target."""
        return shlex.join(["vaultd", "evacuate", "medium", "prepare", self.label, "--device", self.device])


@dataclass(frozen=True, slots=True)
class PullList:
    """The list. ``time``: when the disks were looked at; ``chassis``: the layout's name, empty for none; ``media``:
    those that could be targets."""

    time: int
    host: str
    pulls: tuple[Pull, ...]
    vaults: tuple[VaultLine, ...]
    problems: tuple[str, ...] = ()
    chassis: str = ""
    media: tuple[Noticed, ...] = ()

    @property
    def number(self) -> str:
        """The number that is on paper and in the QR code: the day, and digits of what the list says."""
        said = "\n".join([self.host, rfc3339(self.time), *(pull.disk.key for pull in self.pulls)])
        digits = hashlib.sha256(said.encode("utf-8", "backslashreplace")).hexdigest()[:6]
        return f"PL-{datetime.fromtimestamp(self.time // SECOND, UTC):%Y%m%d}-{digits}"


def is_safe(pull: Pull, made: PullList) -> bool:
    """Whether all content on a disk is known to be off-site. Of a vault that nobody has looked through it is not."""
    needs = {line.need.vault: line.need for line in made.vaults}
    on_it = [needs.get(vault) for vault in pull.vaults]
    return bool(on_it) and all(
        need is not None and need.known and not need.pending_files and not need.pending_bytes for need in on_it
    )


def structure(made: PullList) -> tuple[object, ...]:
    """What makes a list another one: disks, bays, order and what is complete after which; not how much is pending."""
    return tuple(
        (
            pull.disk.key, pull.disk.bay.text if pull.disk.bay else "", pull.vaults, pull.needed, pull.completes,
            pull.leaks, pull.label.number if pull.label else "", pull.gone is not None,
        )
        for pull in made.pulls
    )  # fmt: skip


def new_steps(pull: Pull, shown: set[tuple[str, ...]]) -> list[Step]:
    """The steps of a disk that were not in ``shown``, which grows: a stack that is taken down for one disk is down for
    all. What is only looked at is left out."""
    found = []
    for step in pull.procedure.steps if pull.procedure is not None else ():
        key = (step.do.value, step.subject, *step.argv, *(step.write or ()))
        if step.do not in (Do.STOP_USERS, Do.FREE) and key not in shown:
            shown.add(key)
            found.append(step)
    return found
