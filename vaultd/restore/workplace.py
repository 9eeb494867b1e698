"""The private folder inside the restored folder that makes a restore repeatable: ``.vaultd-restore-<8 hex>``.

While it is there, the restore is not finished. ``marker.json`` says what is being restored and how far that is, so that
the same command, run again after an interruption, goes on with the same snapshots. ``stage`` is where snapshots are
restored to that must be merged, ``root`` holds the vault's own folder without content, ``merge-<n>.json`` what
a merge does; ``together`` and ``together-<n>.json`` are the same for many at once.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaultd import files
from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.names import display, join
from vaultd.restore.metadata import Metadata
from vaultd.restore.plan import Plan, Request

PREFIX = ".vaultd-restore-"
FORMAT = 1


@dataclass(slots=True)
class Workplace:
    """The folder and its marker. ``step`` counts the snapshots of the plan that are wholly in place; ``staged``: the
    next one is wholly in ``stage`` and its merge may have begun; ``tried``: a run for it has begun, so there may
    be remains. ``root``: the metadata that the restored folder gets in the end. ``problems``: of what is in place."""

    path: Path
    request: dict[str, Any]
    snapshots: list[str]
    overwrite: bool
    step: int = 0
    staged: bool = False
    tried: bool = False
    root: Metadata | None = None
    problems: list[dict[str, str]] = field(default_factory=list)

    @property
    def stage(self) -> Path:
        """Where a snapshot is restored to before it is merged."""
        return self.path / "stage"

    def merge_file(self, place: int) -> Path:
        """What the merge of the snapshot at this place of the plan does, written before it begins."""
        return self.path / f"merge-{place}.json"

    def save(self) -> None:
        """Write the marker."""
        status = os.stat(self.path.parent)
        document = {
            "format": FORMAT,
            "folder": [status.st_dev, status.st_ino],
            "request": self.request,
            "snapshots": self.snapshots,
            "overwrite": self.overwrite,
            "step": self.step,
            "staged": self.staged,
            "tried": self.tried,
            "root": self.root.as_json() if self.root else None,
            "problems": self.problems,
        }
        self.note(self.path / "marker.json", document)

    def note(self, path: Path, document: dict[str, Any]) -> None:
        """Write one of the folder's JSON files in place of the old one."""
        files.replace(path, json.dumps(document).encode())

    def advance(self, count: int = 1) -> None:
        """The current snapshot is in place (or so many)."""
        self.step += count
        self.staged = self.tried = False
        self.save()

    def finish(self) -> None:
        """Remove the folder, the marker last: what is left of an interrupted removal can still be recognised."""
        for entry in self.path.iterdir():
            if entry.name != "marker.json":
                remove(entry)
        remove(self.path)


def begin(folder: Path, plan: Plan, overwrite: bool) -> Workplace:
    """Make the workplace of a new restore. ``overwrite``: the folder has content of its own."""
    path = folder / f"{PREFIX}{secrets.token_hex(4)}"
    path.mkdir(mode=0o700)
    found = Workplace(path, fingerprint(plan.request), [one.id for one in plan.snapshots], overwrite)
    found.save()
    return found


def fingerprint(asked: Request) -> dict[str, Any]:
    """What was asked for, as JSON: a second run with the same goes on with the first."""
    return {
        "vault": asked.vault,
        "at": asked.at,
        "latest": asked.latest,
        "paths": [base64.b64encode(path).decode("ascii") for path in sorted(asked.paths)],
        "snapshot": asked.snapshot,
        "dump": asked.dump,
    }


def find(folder: Path) -> Workplace | None:
    """The workplace of an unfinished restore into ``folder``, if there is one."""
    for path in sorted(folder.glob(f"{PREFIX}*")):
        try:
            found = json.loads((path / "marker.json").read_bytes())
            status = os.stat(folder)
            # A workplace that came out of a backup (somebody protected a half-restored folder) is of another folder.
            if found["format"] != FORMAT or found["folder"] != [status.st_dev, status.st_ino]:
                continue
            root = Metadata.from_json(found["root"]) if found["root"] else None
            return Workplace(
                path, found["request"], found["snapshots"], found["overwrite"], found["step"], found["staged"],
                found["tried"], root, found["problems"],
            )  # fmt: skip
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            continue
    return None


def other_content(folder: Path) -> bool:
    """Whether the folder has anything but workplaces and an empty lost+found (a fresh file system has one)."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX):
                continue
            if entry.name == "lost+found" and not os.listdir(entry.path):
                continue
            return True
    return False


def allocated(folder: bytes) -> int:
    """How many bytes of the disk a folder takes."""
    total = 0
    for top, _folders, names in os.walk(folder):
        total += sum(os.lstat(join(top, name)).st_blocks for name in names) * 512
    return total


def unfinished(folder: Path, found: Workplace) -> VaultdError:
    """The refusal to begin one restore in the middle of another."""
    return VaultdError(
        _("restore into {folder}").format(folder=display(folder)),
        _("an unfinished restore of vault {vault} with other choices is in there").format(vault=found.request["vault"]),
        _("run that command again to finish it, take another folder, or remove {work} to give it up").format(
            work=display(found.path)
        ),
    )


def remove(path: Path) -> None:
    """Remove a file or a folder with all below; nothing happens when it is not there."""
    if path.is_dir() and not path.is_symlink():
        if sys.version_info >= (3, 12):
            shutil.rmtree(os.fsencode(path), onexc=_make_writable)
        else:
            shutil.rmtree(os.fsencode(path), onerror=_make_writable)
    else:
        path.unlink(missing_ok=True)


def _make_writable(function: Any, path: Any, _error: Any) -> None:
    os.chmod(os.path.dirname(path), 0o700)
    if os.path.isdir(path) and not os.path.islink(path):
        os.chmod(path, 0o700)
        shutil.rmtree(path)
    else:
        os.unlink(path)


def clear_for_another_run(folder: bytes, keep: bytes) -> None:
    """Make the remains of a broken run safe for restic to go on with. ``keep`` (the workplace) is left alone.

    Measured with restic 0.18.0: where a file of several blobs is in place already, differs, and has more than one hard
    link, ``restore --overwrite always`` makes a new file but writes only the blobs that were wrong in the old one: the
    rest are holes, and the exit code is 0. So files with several links go; they are fetched again. (And after a broken
    line restic gives half-filled files their final time, so ``--overwrite if-changed`` would keep them as they are:
    every run after the first reads all content, and has it verified.)
    """
    folders = [folder]
    while folders:
        current = folders.pop()
        status = os.lstat(current)
        if os.geteuid() != 0 and status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(current, stat.S_IMODE(status.st_mode) | stat.S_IRWXU)
        with os.scandir(current) as entries:
            for entry in entries:
                if entry.path == keep:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_nlink > 1:
                    os.unlink(entry.path)
