"""Whether lsblk and findmnt see what vaultd sees. A difference is told, not mended: an operator should look."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from vaultd.disks.helper import Answer
from vaultd.disks.identity import natural
from vaultd.disks.model import Disk
from vaultd.disks.sysfs import Block
from vaultd.disks.tools import listers
from vaultd.i18n import _
from vaultd.names import display
from vaultd.watch.mounts import Mount

KEYS = ("lsblk", "findmnt")


def differences(
    answers: Mapping[str, Answer], disks: Iterable[Disk], blocks: Mapping[str, Block], mounts: Iterable[Mount]
) -> list[str]:
    """Texts for each difference; nothing where they were not asked."""
    texts = []
    theirs = listers.disks(answers["lsblk"].text) if "lsblk" in answers else {}
    ours = {name for disk in disks for name in disk.names}
    if theirs:
        # What has no hardware of its own is no disk here, nor is an empty reader.
        more = {
            name for name, size in theirs.items() if size != 0 and name in blocks and not blocks[name].virtual
        } - ours
        for text, names in (
            (_("lsblk lists disks that are not listed here: {names}"), more),
            (_("lsblk does not list these disks: {names}"), ours - set(theirs)),
        ):
            if names:
                texts.append(text.format(names=", ".join(sorted(names, key=natural))))
    found = {os.fsdecode(mount.path): mount for mount in mounts}
    for path, number in (listers.mounts(answers["findmnt"].text) if "findmnt" in answers else {}).items():
        if path in found and found[path].device != number:
            texts.append(
                _("findmnt says another device for {path}: {number}").format(path=display(path), number=number)
            )
    return texts
