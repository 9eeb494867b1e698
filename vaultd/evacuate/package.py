"""A bag to carry: the encrypted files of a repository, as they are, in a folder that outsiders can check.

BagIt 1.0. The payload is a restic repository that restic opens where it lies; its manifest names packs by their hashes
and no file of a vault. Beside it are the proofs from the ledger for the snapshots in it, and the pull list.

``bagit.txt`` is written last: what an interruption leaves is no bag, and the same command goes on with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import vaultd
from vaultd import files, reach
from vaultd.bag import tags
from vaultd.config import AnyTarget, Config
from vaultd.errors import ConfigError, LedgerError, RepositoryError, VaultdError
from vaultd.i18n import _
from vaultd.ledger import epochs, spec
from vaultd.ledger.events import SnapshotMade
from vaultd.ledger.prove import prove
from vaultd.ledger.query import Query, matching
from vaultd.ledger.reading import Reader
from vaultd.model import Progress
from vaultd.names import display
from vaultd.pull import kept
from vaultd.reach import Files
from vaultd.restic.blobs import LARGEST_PACK

WORK = ".vaultd-package"
REPOSITORY = "data/repository"
_NAMED = ("snapshots", "index", "keys")
"""Folders whose files are named by their SHA-256. Snapshots are listed first: what they need is there then."""

_NAME = 64
"""Letters of a file's name in a repository; what is longer or shorter is being written."""

_MOST_PROOFS = 10_000
_SPARE = 64 << 20


@dataclass(frozen=True, slots=True)
class Packed:
    """A bag that is whole. ``snapshots`` in it; ``proved``: for so many of them a proof from the ledger is there."""

    files: int
    bytes: int
    snapshots: int
    proved: int


def pack(config: Config, target: AnyTarget, out: Path, on_progress: Callable[[Progress], None]) -> Packed:
    """Make the bag of a target's repository. Raises ConfigError for a folder that is not empty, TargetError, and
    RepositoryError for a file that is not what its name says; the same call goes on with what is there."""
    _check(out)
    work = out / WORK
    for folder in (out, work, out / "data", out / REPOSITORY):
        files.make_private_directory(folder)
    with reach.connect(config, target) as session:
        listed = _listed(session, target.path)
        _check_room(out, sum(listed.values()))
        digests = _copied(session, target, listed, out, on_progress)
    snapshots = {posixpath.basename(name) for name in listed if name.startswith("snapshots/")}
    shutil.rmtree(work / "tags", ignore_errors=True)
    (work / "tags").mkdir(mode=0o700)
    proved = _write_tags(config, target, work / "tags", digests, listed, snapshots)
    for name in sorted(os.listdir(work / "tags")):
        _replace(work / "tags" / name, out / name)
    files.sync_filesystem(out)
    tags.declare(out, work)
    return Packed(len(listed), sum(listed.values()), len(snapshots), proved)


def _check(out: Path) -> None:
    what = _("bag {folder}").format(folder=display(out))
    if out.exists() and (out / "bagit.txt").exists():
        raise ConfigError(what, _("there is a bag already"), _("take a new folder"))
    if out.exists() and not (out / WORK).is_dir() and any(out.iterdir()):
        raise ConfigError(what, _("the folder is not empty"), _("take a new folder"))


def _check_room(out: Path, wanted: int) -> None:
    there = os.statvfs(out)
    have = sum(path.stat().st_size for path in (out / REPOSITORY).rglob("*") if path.is_file())
    if there.f_bavail * there.f_frsize + have < wanted + _SPARE:
        raise ConfigError(
            _("bag {folder}").format(folder=display(out)),
            _("it needs {wanted} bytes, {free} are free").format(wanted=wanted, free=there.f_bavail * there.f_frsize),
            _("take a larger disk"),
        )  # fmt: skip


def _listed(session: Files, root: str) -> dict[str, int]:
    """Every file of the repository with its size, by its path in it; locks are nobody else's."""
    found = dict[str, int]()
    for folder in _NAMED:
        for name, size in session.sizes(posixpath.join(root, folder)).items():
            found[f"{folder}/{name}"] = size
    data = posixpath.join(root, "data")
    for part in session.names(data):
        for name, size in session.sizes(posixpath.join(data, part)).items():
            found[f"data/{part}/{name}"] = size
    found = {path: size for path, size in found.items() if len(posixpath.basename(path)) == _NAME}
    found["config"] = session.sizes(root).get("config", 0)
    if not found["config"]:
        raise RepositoryError(_("repository {folder}").format(folder=root), _("there is none"))
    return found


def _copied(
    session: Files, target: AnyTarget, listed: Mapping[str, int], out: Path, on_progress: Callable[[Progress], None]
) -> dict[str, str]:
    """Copy what is not there yet, and compare everything with its name; the SHA-256 of each."""
    digests, done, total = dict[str, str](), 0, sum(listed.values())
    for number, (path, size) in enumerate(listed.items(), 1):
        place = out / REPOSITORY / path
        found = _there(place, named=path != "config")
        if found is None:
            content = session.fetch(posixpath.join(target.path, path), 0, None, LARGEST_PACK)
            found = hashlib.sha256(content).hexdigest()
            if path != "config" and found != place.name:
                raise RepositoryError(
                    _("target {name}: {path}").format(name=target.name, path=path),
                    _("it is not what its name says"),
                    _("`vaultd verify` and `vaultd repair` look after it; or take another target"),
                )
            files.make_private_directory(place.parent)
            files.create_exclusive(place, content)
        digests[path], done = found, done + size
        on_progress(Progress("package", "", target.name, "", number, len(listed), done, total, 0.0, None))
    return digests


def _there(place: Path, *, named: bool) -> str | None:
    """The SHA-256 of a file that an interrupted run has left, None where there is none, or half of one."""
    if not place.exists():
        return None
    found = hashlib.sha256(place.read_bytes()).hexdigest()
    if named and found != place.name:
        place.unlink()
        return None
    return found


# the tag files


def _write_tags(
    config: Config, target: AnyTarget, work: Path, digests: Mapping[str, str], listed: Mapping[str, int],
    snapshots: set[str],
) -> int:  # fmt: skip
    tags.put(work / "manifest-sha256.txt", (
        f"{digest}  {REPOSITORY}/{path}\n".encode() for path, digest in sorted(digests.items())
    ))  # fmt: skip
    proved = _proofs(config, target.name, work / "ledger", snapshots)
    pull_list(config.host.state, work)
    tags.put(work / "README.md", [resources.files("vaultd.evacuate").joinpath("README.md").read_bytes()])
    tags.put(work / "bag-info.txt", info(
        f"Encrypted repository of target {target.name}, host {config.host.name}", sum(listed.values()), len(listed)
    ))  # fmt: skip
    close(work)
    return proved


def close(work: Path) -> None:
    """The tag manifest, which is last of the tag files; ``bagit.txt`` is in it."""
    tags.put(work / tags.BAGIT, [tags.DECLARATION])
    tags.put(work / "tagmanifest-sha256.txt", list(tags.tagmanifest(work)))
    (work / tags.BAGIT).unlink()


def info(description: str, size: int, count: int) -> Iterator[bytes]:
    """The lines of ``bag-info.txt``."""
    for name, value in (
        ("Bag-Software-Agent", f"vaultd {vaultd.__version__}"),
        ("Bagging-Date", f"{datetime.fromtimestamp(time.time(), UTC):%Y-%m-%d}"),
        ("External-Description", description),
        ("Payload-Oxum", f"{size}.{count}"),
    ):
        yield f"{name}: {value}\n".encode()


def pull_list(state: Path, folder: Path) -> bool:
    """The kept pull list, as the object that vaultd keeps and as the page to print; False where there is none."""
    from vaultd.paper.faults import PaperError
    from vaultd.pull import sheet

    made = kept.read(state)
    if made is None:
        return False
    tags.put(folder / "pull-list.json", [json.dumps(kept.document(made), sort_keys=True).encode(), b"\n"])
    try:
        content, _lacking = sheet.draw(made, time.time_ns())
    except PaperError:
        return True  # no font: the object says the same
    tags.put(folder / "pull-list.pdf", [content])
    return True


def _proofs(config: Config, target: str, folder: Path, snapshots: set[str]) -> int:
    """For every snapshot in the repository that the ledger has signed, its entry and the proof."""
    ledger = config.ledger_folder
    if not ledger.is_dir():
        return 0
    for part in (folder, folder / "keys", folder / spec.FOLDER, folder / "snapshots"):
        part.mkdir(mode=0o700)
    reader, proved = Reader(ledger), 0
    for entry in matching(reader.newest_first(), Query(SnapshotMade.TYPE)):
        if entry["target"] != target or entry["snapshot"] not in snapshots or proved >= _MOST_PROOFS:
            continue
        if entry["seq"] >= reader.signed.size:
            continue  # the next checkpoint has it
        if _proof(ledger, entry, folder / "snapshots"):
            proved += 1
    keys = epochs.read(ledger)
    size = reader.signed.size
    tags.put(folder / "checkpoint", [(ledger / "checkpoint").read_bytes()])
    tags.put(folder / "ledger.vkey", [f"{keys.at(size).key.encoded()}\n".encode()])
    for key in sorted((ledger / "keys").iterdir()):
        tags.put(folder / "keys" / key.name, [key.read_bytes()])
    for name, content in spec.texts().items():
        tags.put(folder / spec.FOLDER / name, [content])
    return proved


def _proof(ledger: Path, entry: Mapping[str, Any], folder: Path) -> bool:
    name = str(entry["snapshot"])
    if (folder / f"{name}.json").exists():
        return False  # an older entry of the same snapshot
    try:
        leaf, proof = prove(ledger, int(entry["seq"]))
    except (LedgerError, OSError) as error:
        raise VaultdError(_("the proof of snapshot {id}").format(id=name[:8]), str(error)) from error
    tags.put(folder / f"{name}.json", [leaf])
    tags.put(folder / f"{name}.tlog-proof", [proof.encoded()])
    return True


def _replace(new: Path, old: Path) -> None:
    if old.is_dir():
        shutil.rmtree(old)
    else:
        old.unlink(missing_ok=True)
    new.rename(old)
