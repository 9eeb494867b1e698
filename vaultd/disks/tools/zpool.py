"""``zpool status -P``: the tree of a pool, and the state of each device."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(slots=True)
class Part:
    """A line of the tree: the pool, a virtual device ("mirror-0"), or a device. ``parts``: what stands below it."""

    name: str
    state: str
    note: str = ""
    parts: list[Part] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether it has all it should: online, and not being rebuilt."""
        return self.state == "ONLINE" and "resilvering" not in self.note and "replacing" not in self.name


@dataclass(frozen=True, slots=True)
class Pool:
    """``data``: the top-level devices, all of which are needed; ``special`` as well (their content is nowhere else);
    ``other``: logs, caches, spares, by heading."""

    name: str
    state: str
    data: tuple[Part, ...]
    special: tuple[Part, ...]
    other: tuple[tuple[str, Part], ...]


_HEADINGS = ("logs", "cache", "spares", "special", "dedup")


def status(text: str) -> dict[str, Pool]:
    """The pools by name; what is cut off is left out."""
    pools = {}
    for section in re.split(r"(?m)^\s*(?=pool: )", text):
        name = re.match(r"pool: (\S+)", section)
        table = re.search(r"(?m)^[ \t]*NAME[ \t]+STATE.*\n", section)
        if not name or not table:
            continue
        state = re.search(r"(?m)^\s*state: (\S+)", section)
        pools[name[1]] = _pool(name[1], state[1] if state else "", section[table.end() :])
    return pools


def _pool(name: str, state: str, text: str) -> Pool:
    heading, stack = "data", list[tuple[int, Part]]()
    tops = dict[str, list[Part]]()
    for line in text.splitlines():
        if not line.strip() or re.match(r"\s*errors:", line):
            break
        depth = len(line.expandtabs(8)) - len(line.expandtabs(8).lstrip())
        words = line.split()
        if words[0] in _HEADINGS and (len(words) == 1 or not words[1].isupper()):
            heading, stack = words[0], [(depth, Part(words[0], "ONLINE"))]
            tops.setdefault(heading, [])
            continue
        part = Part(words[0], words[1] if len(words) > 1 else "", " ".join(words[5:]))
        while stack and stack[-1][0] >= depth:
            stack.pop()
        if not stack and not tops and words[0] == name:
            stack = [(depth, part)]
            tops["data"] = []
            continue
        if len(stack) <= 1:
            tops.setdefault(heading, []).append(part)
        else:
            stack[-1][1].parts.append(part)
        stack.append((depth, part))
    special = (*tops.get("special", []), *tops.get("dedup", []))
    other = tuple((key, part) for key in ("logs", "cache", "spares") for part in tops.get(key, []))
    return Pool(name, state, tuple(tops.get("data", [])), special, other)


def need(part: Part) -> int:
    """How many of a virtual device's parts a whole copy needs."""
    count = len(part.parts)
    kind = re.match(r"[a-z]+\d?", part.name)
    word = kind[0] if kind else ""
    if word in ("mirror", "spare", "replacing") or part.name.startswith(("spare-", "replacing-")):
        return 1
    if part.name.startswith(("raidz2", "draid2")):
        return max(1, count - 2)
    if part.name.startswith(("raidz3", "draid3")):
        return max(1, count - 3)
    if part.name.startswith(("raidz", "draid")):
        return max(1, count - 1)
    return count
