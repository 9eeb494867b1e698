"""What a step does, what is looked at after it, what follows when that is not so; and notes, for people."""

from __future__ import annotations

import shlex

from vaultd.i18n import N_, _
from vaultd.pull.model import Do, Step, User

_TITLES = {
    Do.POWER_OFF: N_("the running system stands on this disk: switch the machine off, then pull it"),
    Do.STOP_USERS: N_("stop what uses it"),
    Do.SYNC: N_("write out what {subject} still owes"),
    Do.UNMOUNT: N_("unmount {subject}"),
    Do.SWAP_OFF: N_("end swapping to {subject}"),
    Do.EXPORT: N_("export the pool {subject}"),
    Do.LOOP: N_("detach the image behind {subject}"),
    Do.LVM: N_("deactivate {subject}"),
    Do.CRYPT: N_("close {subject}: its key leaves the memory"),
    Do.HOLD: N_("keep arrays from being assembled again"),
    Do.ARRAY: N_("stop the array {subject}"),
    Do.MULTIPATH: N_("take the paths of {subject} apart"),
    Do.BCACHE: N_("stop the cache {subject}"),
    Do.MAPPING: N_("remove the mapping {subject}"),
    Do.FREE: N_("see that nothing holds {subject} any more"),
    Do.DETACH: N_("detach {subject}"),
}

_CHECKS = {
    Do.STOP_USERS: N_("no process has anything of it open"),
    Do.SYNC: N_("the system says that all was written"),
    Do.UNMOUNT: N_("it is no longer among the mounts"),
    Do.SWAP_OFF: N_("it is no longer among the swap spaces"),
    Do.EXPORT: N_("the command says that it is done"),
    Do.LOOP: N_("the device has no file any more"),
    Do.LVM: N_("its volumes are no longer there"),
    Do.CRYPT: N_("the opened device is no longer there"),
    Do.HOLD: N_("the file is there"),
    Do.ARRAY: N_("the array is not there, and does not come back"),
    Do.MULTIPATH: N_("the map is no longer there"),
    Do.BCACHE: N_("the device is no longer there"),
    Do.MAPPING: N_("the device is no longer there"),
    Do.FREE: N_("nothing is mounted, nothing stands on it, and it opens for us alone"),
    Do.DETACH: N_("the kernel does not know it any more"),
}

_MEANINGS = {
    Do.STOP_USERS: N_("nothing was changed: what writes now would lose it"),
    Do.SYNC: N_("what was written last may not be on the disk"),
    Do.UNMOUNT: N_(
        "a process, an export or a container still uses it. A lazy unmount (umount -l) would only hide that"
    ),
    Do.SWAP_OFF: N_("memory is still on it; there may be too little to take it back"),
    Do.EXPORT: N_("the pool is still in use"),
    Do.LOOP: N_("something still uses the image; the system would only detach it later"),
    Do.LVM: N_("a volume is still in use"),
    Do.CRYPT: N_("the key is still in memory. A deferred close would leave it there; cryptsetup luksSuspend wipes it"),
    Do.HOLD: N_("arrays that are stopped could be assembled again by themselves"),
    Do.ARRAY: N_("the array is still running, or was assembled again: see ARRAY lines in mdadm.conf"),
    Do.MULTIPATH: N_("something still uses it, or multipathd has made it again"),
    Do.BCACHE: N_("the cache may hold data that is on no other disk"),
    Do.MAPPING: N_("something still uses it"),
    Do.FREE: N_("something still holds the disk: pulled now, it may lose data, or stay readable in memory"),
    Do.DETACH: N_("nothing uses it any more, but it still has power and the kernel still knows it"),
}

NOTES = {
    "gone": N_("it is gone: look for it"),
    "failing": N_("it says that it is failing"),
    "unseen": N_("what is behind it cannot be seen from here"),
    "behind": N_("behind a RAID controller: take it with all the others of that controller"),
    "double-slot": N_("another disk has the same bay: check the serial number"),
    "slot-differs": N_("the machine says two different things of its bay: check the serial number"),
    "moved": N_("it is no longer in the bay where it was seen: look again, vaultd disks confirm-bay"),
    "double-serial": N_("another disk says the same serial number"),
    "no-bay": N_("its bay is not known: vaultd disks locate, confirm-bay"),
    "unknown": N_("it is on the map, and not among the disks"),
    "no-copy": N_("no set of disks is sure to carry a whole copy"),
    "unsure": N_("not every layer could be seen"),
    "remote": N_("part of it is on another machine"),
    "memory": N_("part of it is in memory and goes with the power"),
    "hidden": N_("what lies below it cannot be seen"),
    "tpm": N_("its key is in this machine's TPM: it cannot be opened elsewhere"),
    "unprotected": N_("nothing says what of it is safe off-site"),
    "no-map": N_("nobody knows on which disks it is"),
}
"""What the codes of disks and vaults mean."""


_CONDITIONS = {
    "in-use": N_("The disk is in use: something of it is mounted, or memory is swapped to it. Do not pull it."),
    "open": N_("The disk's key is still in memory: it is not safe to pull it."),
    "assembled": N_("An array, a volume or a mapping still stands on the disk. Do not pull it."),
    "free": N_(
        "Nothing stands on the disk any more; it is still attached. It may be pulled when its motor has stopped."
    ),
    "detached": N_("The disk is detached: pull it now, label it, sign for it."),
}


def condition(code: str) -> str:
    """In which state a disk is, and what follows."""
    return _(_CONDITIONS[code])


def title(step: Step) -> str:
    """What a step does."""
    return _(_TITLES[step.do]).format(subject=step.subject)


def check(step: Step) -> str:
    """What must be so afterwards."""
    return _(_CHECKS[step.do]) if step.do in _CHECKS else ""


def meaning(step: Step) -> str:
    """What follows when it is not."""
    return _(_MEANINGS[step.do]) if step.do in _MEANINGS else ""


def note(code: str) -> str:
    """A note's text; of a newer vaultd, its code."""
    return _(NOTES[code]) if code in NOTES else code


def command(step: Step) -> str:
    """What a person types to do the same, in bash; empty for what is only looked at."""
    if step.write is not None:
        file, text = step.write
        return f"echo {_quoted(text.strip())} > {_quoted(file)}"
    return " ".join(map(_quoted, step.argv))


def _quoted(word: str) -> str:
    """A word as bash reads it; what cannot be printed or typed as its bytes."""
    if word.isprintable():
        return shlex.quote(word)
    shown = [one if one.isprintable() and one not in "\\'" else _bytes(one) for one in word]
    return f"$'{''.join(shown)}'"


def _bytes(one: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in one.encode("utf-8", "surrogateescape"))


def user(one: User) -> str:
    """A process, by name: the service that a person stops, else the process."""
    if one.unit:
        return _("{unit} (process {pid}, {name})").format(unit=one.unit, pid=one.pid, name=one.name)
    return _("{name} (process {pid})").format(name=one.name, pid=one.pid)
