"""The one place that runs storage programs, most of which need root: a fixed list of commands, all only reading.

A command is chosen by its key; the only argument any of them takes is the name of a block device that the kernel has
now. There is no shell, and the environment is made from nothing. Each has a time limit; what cannot be ended is left
behind and told. Answers are kept with their time, so that who is in a hurry asks for what is there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from vaultd.disks import running
from vaultd.files import replace
from vaultd.watch.mounts import current

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SECONDS = 10.0
"""How long a command may take."""

AT_ONCE = 8

DEVICE = "{device}"
MOUNT = "{mount}"
"""Where the kernel says that the device is mounted: no path ever comes from who asks."""

_LVS = "lv_name,vg_name,lv_kernel_major,lv_kernel_minor,segtype,seg_pe_ranges,lv_health_status"

COMMANDS: dict[str, tuple[tuple[str, ...], bool]] = {
    "lsblk": (("lsblk", "-J", "-b", "-o", "KNAME,TYPE,SIZE"), False),
    "findmnt": (("findmnt", "-J", "--real", "-o", "TARGET,MAJ:MIN"), False),
    "dm-table": (("dmsetup", "table"), True),  # without --showkeys: the keys of encrypted devices stay where they are
    "dm-status": (("dmsetup", "status", "--noflush"), True),
    "lvs": (("lvs", "--readonly", "--reportformat", "json", "--all", "--segments", "-o", _LVS), True),
    "pvs": (("pvs", "--readonly", "--reportformat", "json", "-o", "pv_name,vg_name"), True),
    "zpool": (("zpool", "status", "-P", "-L"), False),
    "multipath": (("multipath", "-ll"), True),
    "blkid": (("blkid", "--cache-file", "/dev/null"), True),
    "btrfs": (("btrfs", "filesystem", "usage", "-b", "-T", MOUNT), True),
    "mdadm": (("mdadm", "--detail", f"/dev/{DEVICE}"), True),
    "luks": (("cryptsetup", "luksDump", "--dump-json-metadata", f"/dev/{DEVICE}"), True),
    "smart": (("smartctl", "--json", "-i", "-H", "-A", "-n", "standby", f"/dev/{DEVICE}"), True),
    "nvme": (("nvme", "list", "-o", "json"), True),
    "storcli": (("storcli", "/cALL/eALL/sALL", "show", "all", "J"), True),
    "ssacli": (("ssacli", "ctrl", "all", "show", "config", "detail"), True),
    "megacli": (("megacli", "-PDList", "-aALL", "-NoLog"), True),
    "arcconf": (("arcconf", "GETCONFIG", "1", "PD"), True),
}
"""Key -> (words, whether it needs root). Programs go by several names: see ``ALIASES``."""

ALIASES = {
    "storcli": ("storcli64", "perccli64", "perccli"),
    "ssacli": ("hpssacli", "hpacucli"),
    "megacli": ("MegaCli64", "megacli64", "MegaCli"),
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_!.:-]{0,63}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed. ``time``: when, nanoseconds since 1970. ``problem``: why there is nothing: "missing" (no
    such program), "root", "time" (it did not end), "stuck" (nor could it be ended), "failed"; "" when it is well."""

    time: int
    text: str = ""
    problem: str = ""
    code: int | None = None


LEFT = "left"
"""The problem of what was not asked on purpose."""

Ask = Callable[[str, str], Answer]
"""A command's key and a device's name ("" for none) -> the answer."""


def command(key: str, device: str = "") -> list[str]:
    """The words of a command. Raises ValueError for a key that is not on the list, and for a device that is none: its
    name is nothing but a name, and the kernel has it."""
    words, _root = COMMANDS.get(key, ((), False))
    wants = any(DEVICE in word or word == MOUNT for word in words)
    if not words or wants != bool(device):
        raise ValueError(f"no such command: {key!r}")
    if device and (not _NAME.fullmatch(device) or not os.path.lexists(f"/sys/class/block/{device}")):
        raise ValueError(f"no such block device: {device!r}")
    node = device.replace("!", "/")
    return [_mounted(node) if word == MOUNT else word.replace(DEVICE, node) for word in words]


def _mounted(node: str) -> str:
    for mount in current():
        if mount.source == b"/dev/" + os.fsencode(node):
            return os.fsdecode(mount.path)
    raise ValueError(f"not mounted: {node!r}")


def ask(key: str, device: str = "", seconds: float = SECONDS) -> Answer:
    """Run a command now. Raises ValueError as ``command`` does."""
    words, now = command(key, device), time.time_ns()
    program = next(
        (found for name in (words[0], *ALIASES.get(words[0], ())) if (found := shutil.which(name, path=PATH))), None
    )
    if program is None:
        return Answer(now, problem="missing")
    if COMMANDS[key][1] and os.geteuid() != 0:
        return Answer(now, problem="root")
    environment = {"PATH": PATH, "LC_ALL": "C.UTF-8", "LVM_SUPPRESS_FD_WARNINGS": "1", "HOME": "/"}
    try:
        ended = running.run([program, *words[1:]], seconds, environment=environment)
    except OSError:
        return Answer(now, problem="failed")
    text = ended.out.decode("utf-8", "replace")
    if ended.code is None:
        return Answer(now, text, "stuck" if ended.stuck else "time")
    return Answer(now, text, "" if ended.code == 0 or text.strip() else "failed", ended.code)


def ask_all(questions: Iterable[tuple[str, str]], one: Ask) -> dict[tuple[str, str], Answer]:
    """Many commands, some at a time: one that hangs holds up none of the others."""
    wanted = list(dict.fromkeys(questions))
    if not wanted:
        return {}
    with ThreadPoolExecutor(min(AT_ONCE, len(wanted))) as pool:
        return dict(zip(wanted, pool.map(lambda question: one(*question), wanted), strict=True))


class Kept:
    """Answers kept in a file (0600) with their time."""

    VERSION = 1

    def __init__(self, file: Path, one: Ask = ask, leave: frozenset[str] = frozenset()) -> None:
        """``leave``: commands that are not run now; what was said before is taken, however old."""
        self.file, self._one, self._leave = file, one, leave
        self._known = self._read()
        self._new = False

    def __call__(self, key: str, device: str = "") -> Answer:
        """A new answer. Where there is none (a program that hangs, a caller who is not root), the last one that there
        was, with its old time, and the problem all the same."""
        known = self._known.get((key, device))
        if key in self._leave:
            return known or Answer(time.time_ns(), problem=LEFT)
        answer = self._one(key, device)
        if answer.problem in ("", "missing"):
            self._known[key, device], self._new = answer, True
        elif known is not None and known.text:
            return Answer(known.time, known.text, answer.problem, known.code)
        return answer

    def keep(self) -> None:
        """Write what is new. Raises OSError."""
        if self._new:
            rows = [
                [key, device, one.time, one.text, one.problem, one.code] for (key, device), one in self._known.items()
            ]
            replace(self.file, json.dumps({"version": self.VERSION, "answers": rows}).encode())
            self._new = False

    def _read(self) -> dict[tuple[str, str], Answer]:
        try:
            document = json.loads(self.file.read_bytes())
            if document["version"] != self.VERSION:
                return {}
            return {
                (str(key), str(device)): Answer(int(at), str(text), str(problem), code)
                for key, device, at, text, problem, code in document["answers"]
            }
        except (OSError, ValueError, TypeError, KeyError):
            return {}  # a cache: what is not there is asked again
