"""``/proc/mdstat`` and ``mdadm --detail``: arrays, their levels, and which members are in sync."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Array:
    """An array. ``members``: (device's name without /dev/, slot or None, in sync) of each. ``certain``: whether the
    states of members are told."""

    name: str
    level: str
    disks: int
    layout: int = 0
    members: tuple[tuple[str, int | None, bool], ...] = ()
    certain: bool = True
    reshaping: bool = False


@dataclass(slots=True)
class _Lines:
    head: str
    rest: list[str] = field(default_factory=list)


def mdstat(text: str) -> dict[str, Array]:
    """The arrays of /proc/mdstat by name ("md127")."""
    found = list[_Lines]()
    for line in text.splitlines():
        if re.match(r"md\S* : ", line):
            found.append(_Lines(line))
        elif line.startswith((" ", "\t")) and found and line.strip():
            found[-1].rest.append(line.strip())
    arrays = {}
    for lines in found:
        array = _mdstat_array(lines.head, " ".join(lines.rest))
        arrays[array.name] = array
    return arrays


_MEMBER = re.compile(r"(\S+?)\[(\d+)\]((?:\([A-Z]\))*)$")


def _mdstat_array(head: str, rest: str) -> Array:
    name, _colon, words_text = head.partition(" : ")
    words = words_text.split()
    members = [match for word in words if (match := _MEMBER.match(word))]
    level = next((word for word in words[1:] if re.fullmatch(r"(raid\d+|linear|faulty|multipath)", word)), "")
    counts = re.search(r"\[(\d+)/(\d+)\]", rest)
    letters = re.search(r"\[([U_]+)\]", rest)
    layout = _layout_words(rest)
    # The number in brackets is the member's place in the superblock; it is the slot only while nothing was replaced.
    plain = sorted((one for one in members if not one[3].strip("(W)J")), key=lambda one: int(one[2]))
    disks = int(counts[1]) if counts else len(plain)
    up = letters[1] if letters else "U" * disks
    slots = [slot for slot, letter in enumerate(up) if letter == "U"]
    numbers = [int(one[2]) for one in plain]
    if numbers != slots and len(plain) == len(slots) and max(numbers, default=0) >= disks:
        placed = dict(zip(numbers, slots, strict=True))
    else:
        placed = {number: number for number in numbers}
    recovering = "recovery" in rest or "reshape" in rest
    made = []
    for one in members:
        plain_one = one in plain
        slot = placed.get(int(one[2])) if plain_one else None
        made.append((one[1], slot, plain_one and slot is not None and slot < len(up) and up[slot] == "U"))
    # With raid10 it matters which is which; a guess by order is not enough there.
    certain = bool(level) and not (level == "raid10" and placed != {number: number for number in numbers})
    return Array(name, level, disks, layout, tuple(made), certain and not recovering, "reshape" in rest)


def _layout_words(text: str) -> int:
    """raid10: "2 near-copies", "2 far-copies", "2 offset-copies"; or of mdadm: "near=2", "far=2", "offset=2"."""
    near, far, offset = 1, 1, 0
    found = re.findall(r"(\d+) (near|far|offset)-copies", text)
    found += [(count, word) for word, count in re.findall(r"\b(near|far|offset)=(\d+)", text)]
    for count, word in found:
        if word == "near":
            near = int(count)
        else:
            far, offset = int(count), int(word == "offset") << 16
    return near | far << 8 | offset if (near, far) != (1, 1) else 0


def detail(text: str) -> Array | None:
    """``mdadm --detail DEVICE``; None when it is no such text. Its table has the slot and the state of each member."""
    name = re.match(r"\s*/dev/(\S+?):?\s*$", text.splitlines()[0] if text.strip() else "")
    pairs = [line.partition(" : ") for line in text.splitlines()]
    values = {key.strip(): value.strip() for key, colon, value in pairs if colon}
    level = values.get("Raid Level", "")
    if not level:
        return None
    disks = values.get("Raid Devices", "0").split(" ")[0]
    members = []
    for match in re.finditer(r"^\s*(\d+|-)\s+\d+\s+\d+\s+(\d+|-)\s+(.+?)\s+/dev/(\S+)\s*$", text, re.M):
        words = match[3].split()
        in_sync = "active" in words and "sync" in words and "faulty" not in words
        members.append((match[4], int(match[2]) if match[2] != "-" else None, in_sync))
    return Array(
        name[1] if name else "", level, int(disks) if disks.isdigit() else 0, _layout_words(values.get("Layout", "")),
        tuple(members), True, "Reshape Status" in values,
    )  # fmt: skip


def export(text: str) -> Array | None:
    """``mdadm --detail --export DEVICE``, which is what udev keeps as well: level, number, and roles; who is in sync
    is not told."""
    values = {key: value for key, equal, value in (line.partition("=") for line in text.splitlines()) if equal}
    if "MD_LEVEL" not in values:
        return None
    members = []
    for key, device in values.items():
        match = re.fullmatch(r"MD_DEVICE_(.+)_DEV", key)
        if match:
            role = values.get(f"MD_DEVICE_{match[1]}_ROLE", "spare")
            members.append((device.removeprefix("/dev/"), int(role) if role.isdigit() else None, role.isdigit()))
    disks = values.get("MD_DEVICES", "0")
    return Array(values.get("MD_DEVNAME", ""), values["MD_LEVEL"], int(disks) if disks.isdigit() else 0, 0,
                 tuple(members), certain=False)  # fmt: skip
