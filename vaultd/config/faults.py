"""What is wrong with a configuration: each fault with file, line, key, what was found and what is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vaultd.errors import ConfigError
from vaultd.i18n import _, ngettext

Key = tuple[str | int, ...]
"""Where a value is in the document: ("vault", 0, "path") is the path of the first [[vault]]."""

Cross = tuple[Key, str, str]
"""A fault between tables: key, found, allowed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``line`` counts from 1, 0 when it is not known; ``allowed`` is a sentence for people."""

    key: Key
    name: str
    line: int
    found: str
    allowed: str

    def place(self, file: Path) -> str:
        """``FILE:LINE: KEY``."""
        where = f"{file}:{self.line}" if self.line else str(file)
        return f"{where}: {self.name}" if self.name else where

    def reason(self) -> str:
        """What was found, and what is allowed."""
        if not self.found:
            return self.allowed
        return _("found {found}; allowed: {allowed}").format(found=self.found, allowed=self.allowed)


class ConfigFaults(ConfigError):
    """All faults of one configuration at once, in the order of the file."""

    def __init__(self, file: Path, faults: Sequence[Fault], hint: str = "") -> None:
        self.file = file
        self.faults = tuple(sorted(faults, key=lambda fault: fault.line))
        if len(self.faults) == 1:
            what, why = self.faults[0].place(file), self.faults[0].reason()
        else:
            count = len(self.faults)
            what = ngettext("{file} has {count} fault", "{file} has {count} faults", count)
            what = what.format(file=file, count=count)
            why = "".join(f"\n  {fault.place(file)}: {fault.reason()}" for fault in self.faults)
        super().__init__(what, why, hint or _("mend the file and run the command again"))


def shown(value: object) -> str:
    """A value as the file would write it, shortened: for the "found" of a fault."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, str):
        text = (
            '"' + value.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'
            if not value.isprintable()
            else f'"{value}"'
        )
    elif isinstance(value, dict):
        text = "{" + ", ".join(str(key) for key in value) + "}"
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(shown(each) for each in value) + "]"
    else:
        text = str(value)
    return text if len(text) <= 120 else text[:117] + "..."
