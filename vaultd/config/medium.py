"""A medium as a target: a restic repository on a removable disk, as everything that reaches a target takes it.

It is in no configuration: it is prepared on the spot (``vaultd evacuate medium prepare``), and its name is its label in
the register of media. ``vaultd.reach`` knows how either kind is looked at without restic.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

MEDIA = "media"
"""The folder for mounts, in the state folder: the daemon's unit may write below that alone."""

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class MediumTarget:
    """``name``: its label; ``path``: the repository's folder, absolute, on the medium that is mounted at ``mount``.
    ``limit_upload`` as of any target: None, a disk has no line that others need."""

    name: str
    path: str
    password_file: Path
    mount: Path
    limit_upload: int | None = None


def folder_name(label: str) -> str:
    """A label as the name of a folder: of any letters, and of any length."""
    found = f"medium-{quote(label, safe='')}"
    return found if len(found) <= _LONGEST else f"medium-sha256-{hashlib.sha256(label.encode()).hexdigest()}"
