"""``dmsetup table`` and ``dmsetup status``: how device mapper makes a device, and which members are in sync."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

_NUMBER = re.compile(r"\d+:\d+")


@dataclass(frozen=True, slots=True)
class Segment:
    """A line of a table or of a status: the target and its words."""

    target: str
    words: tuple[str, ...]


Tables = dict[str, tuple[Segment, ...]]


@dataclass(frozen=True, slots=True)
class Raid:
    """A ``raid`` target: level as device mapper calls it, (metadata, data) devices by slot ("-": missing)."""

    level: str
    copies: int
    placement: str  # of raid10: "near", "far", "offset"
    members: tuple[tuple[str, str], ...]


def parse(text: str) -> Tables:
    """Device name -> its segments in order. With a single device's output the name is ""."""
    found = defaultdict[str, list[Segment]](list)
    for line in text.splitlines():
        match = re.fullmatch(r"(?:(?P<name>.+): )?\s*\d+ \d+ (?P<target>[\w-]+)(?: (?P<rest>.*))?", line.rstrip())
        if match:
            found[match["name"] or ""].append(Segment(match["target"], tuple((match["rest"] or "").split())))
    return {name: tuple(segments) for name, segments in found.items()}


def numbers(segment: Segment) -> tuple[str, ...]:
    """The devices ("8:16") that a segment names, in order, each once."""
    return tuple(dict.fromkeys(word for word in segment.words if _NUMBER.fullmatch(word)))


def raid(segment: Segment) -> Raid | None:
    """The parts of a ``raid`` target; None when it is cut off."""
    words = segment.words
    try:
        level, count = words[0], int(words[1])
        params, rest = words[2 : 2 + count], words[2 + count :]
        devices = rest[1 : 1 + 2 * int(rest[0])]
        if len(devices) != 2 * int(rest[0]):
            return None
        values = dict(pairwise(params))
        copies = int(values.get("raid10_copies", "2"))
    except (IndexError, ValueError):
        return None
    members = tuple(zip(devices[::2], devices[1::2], strict=True))
    return Raid(level, copies, values.get("raid10_format", "near"), members)


def health(segment: Segment) -> str:
    """A letter for each member: "A" in sync, "a" not yet, "D" dead; "" when it is not told.

    ``raid raid1 2 AA 81920/81920 idle`` and ``mirror 2 253:2 253:3 160/160 1 AA 3 disk ...``.
    """
    words = segment.words
    if segment.target == "raid" and len(words) > 2 and re.fullmatch(r"[AaDW-]+", words[2]):
        return words[2]
    if segment.target == "mirror" and words and words[0].isdigit():
        at = 1 + int(words[0])
        if len(words) > at + 2 and re.fullmatch(r"[ADSRUF]+", words[at + 2]):
            done, _slash, whole = words[at].partition("/")
            synced = done == whole
            return "".join("A" if one == "A" and (synced or number == 0) else "a" for number, one in
                           enumerate(words[at + 2]))  # fmt: skip
    return ""
