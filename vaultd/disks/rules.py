"""Redundancy: which members of an array a whole copy needs, as the groups of ``model.Layer``.

Found by experiment (every subset of members assembled and read back) and from the kernel's own placement of blocks.
``present``: slot of the array -> index in ``Layer.below``, for members in sync only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Groups = tuple[tuple[int, tuple[int, ...]], ...]

IMPOSSIBLE: Groups = ((1, ()),)
"""No set of what is there carries a copy."""


def all_of(count: int) -> Groups:
    """Every one of ``count`` layers below."""
    return ((count, tuple(range(count))),) if count else ()


def any_of(indices: Sequence[int]) -> Groups:
    """One of some layers below."""
    return ((1, tuple(indices)),)


def at_least(need: int, present: Mapping[int, int]) -> Groups:
    """``need`` members, whichever."""
    return ((max(need, 1), tuple(present[slot] for slot in sorted(present))),)


def striped_mirrors(disks: int, present: Mapping[int, int], near: int, far: int, set_size: int) -> Groups:
    """raid10 of the kernel: the members that hold the same chunk, for each chunk that differs.

    A chunk lies on ``near`` neighbours, and for each of the ``far`` copies again that many further on, round a set of
    ``set_size`` disks, of which there is a whole number.
    """
    groups = dict[tuple[int, ...], None]()
    for chunk in range(disks):
        slots = set[int]()
        for copy in range(near):
            slot = (chunk * near + copy) % disks
            first = slot // set_size * set_size
            slots |= {first + (slot - first + step * near) % set_size for step in range(far)}
        groups[tuple(sorted(present[slot] for slot in slots if slot in present))] = None
    return tuple((1, members) for members in groups)


def raid10(disks: int, layout: int, present: Mapping[int, int]) -> Groups | None:
    """md's raid10 by its layout number; None when the kernel would not take such a layout."""
    near, far = layout & 0xFF, layout >> 8 & 0xFF
    if near < 1 or far < 1 or near * far > disks:
        return None
    kind = layout >> 17
    if kind == 0:
        return striped_mirrors(disks, present, near, far, disks)
    if kind == 1 and disks % far == 0:
        return striped_mirrors(disks, present, near, far, disks // far)
    if kind == 2 and disks % (near * far) == 0:
        return striped_mirrors(disks, present, near, far, near * far)
    # Sets of disks that do not come out even: what suffices for every placement.
    return at_least(disks - near * far + 1, present)


def raid(level: str, disks: int, present: Mapping[int, int], layout: int = 0) -> Groups | None:
    """The groups of an array of ``disks`` members; None when the level is not known."""
    if level in ("raid0", "linear", "raid0_meta", "stripe", "striped", "0"):
        return at_least(disks, present)
    if level in ("raid1", "1", "mirror"):
        return at_least(1, present)
    if level.startswith(("raid4", "raid5")) or level in ("4", "5"):
        return at_least(disks - 1, present)
    if level.startswith("raid6") or level == "6":
        return at_least(disks - 2, present)
    if level.startswith("raid10") or level == "10":
        return raid10(disks, layout, present)
    return None
