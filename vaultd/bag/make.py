"""Make the bag: look and compare first, change names then, write the tag files last, bagit.txt the very last.

``.vaultd-bag`` in the bag's folder is the work folder. While it is there, the bag is not finished, and the same command
goes on; ``plan.jsonl`` in it is the ``names.jsonl`` to be, written before the first file is moved.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vaultd import files
from vaultd.bag import arrange, listing, payload, record, tags
from vaultd.bag.bench import Bench
from vaultd.bag.payload import Folder
from vaultd.bag.record import Record
from vaultd.errors import BusyError, ConfigError
from vaultd.i18n import _, ngettext
from vaultd.model import Progress
from vaultd.names import display
from vaultd.restore import workplace
from vaultd.units import local

WORK = ".vaultd-bag"
DATA = "data"
_SHOW_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Asked:
    """``source``: the restored folder that the payload is made from; None: it is in the bag already. ``before``: the
    newest full snapshot not after this moment is meant, in nanoseconds; None: the newest."""

    ledger: Path
    vault: str
    bag: Path
    source: Path | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A bag that is whole. ``renamed``: files in ``data/_x``; ``noted``: lines of ``names.jsonl``; ``sm3``: whether it
    has these checksums, None where they are on record and this Python cannot make them. ``destroyed``: files that the
    manifest has and that were destroyed on purpose since."""

    record: Record
    files: int
    size: int
    renamed: int
    noted: int
    sm3: bool | None
    destroyed: int = 0


class Meter:
    """Progress for people: phases, one after another."""

    def __init__(self, vault: str, show: Callable[[Progress], None]) -> None:
        self.vault = vault
        self.show = show
        self.begin("ledger", 0, 0)

    def begin(self, phase: str, files_total: int, bytes_total: int) -> None:
        """Another phase, and how much there is to do."""
        self.phase, self.total, self.bytes_total = phase, files_total, bytes_total
        self.done = self.bytes_done = 0
        self.shown = 0.0
        self.since = time.monotonic()

    def add(self, count: int, size: int) -> None:
        """So much more is done."""
        self.at(self.done + count, self.total, self.bytes_done + size)

    def at(self, done: int, total: int, size: int = 0) -> None:
        """So far it is."""
        self.done, self.total, self.bytes_done = done, total, size
        now = time.monotonic()
        if now < self.shown + _SHOW_SECONDS:
            return  # a million files: drawing would take longer than hashing
        self.shown = now
        seconds = max(now - self.since, 0.001)
        # Of the first moments nothing follows.
        left = (self.bytes_total - size) * seconds / size if size and seconds > 1 and self.bytes_total else None
        self.show(
            Progress(self.phase, self.vault, "", "", done, total, size, self.bytes_total, size / seconds, left)
        )  # fmt: skip


def make(asked: Asked, on_progress: Callable[[Progress], None]) -> Made:
    """Make the bag, or make it again. Raises PayloadDiffersError, with nothing changed, where a file is not as on
    record; VaultdError where it cannot be made. After an interruption the same call goes on."""
    _check(asked)
    work = asked.bag / WORK
    new = not asked.bag.exists()
    files.make_private_directory(work)
    with _alone(work):
        bench = Bench(work / "bench")
        try:
            made = _make(asked, work, bench, Meter(asked.vault, on_progress))
            tags.declare(asked.bag, work)
            return made
        finally:
            bench.close()
            if work.exists() and not (work / "plan.jsonl").exists():
                shutil.rmtree(work)  # nothing was changed
                if new:
                    asked.bag.rmdir()


def _make(asked: Asked, work: Path, bench: Bench, meter: Meter) -> Made:
    data, plan, aside = asked.bag / DATA, work / "plan.jsonl", work / "x"
    in_place = data.exists()
    if not in_place:
        plan.unlink(missing_ok=True)
        shutil.rmtree(work / DATA, ignore_errors=True)
    if not plan.exists():
        shutil.rmtree(aside, ignore_errors=True)  # empty: nothing is moved without a plan
    found = record.load(asked.ledger, asked.vault, asked.before, bench, meter.at)
    folder = _folder(asked, plan, aside, bench)
    payload.scan(bench, folder)
    sm3 = found.sm3 and "sm3" in hashlib.algorithms_available
    size, count = bench.db.execute("SELECT coalesce(sum(size), 0), count(*) FROM found").fetchone()
    meter.begin("hash", count, size)
    payload.hash_all(bench, folder, sm3, meter.add)
    gone = payload.note_destroyed(bench, record.destroyed_since(found))
    payload.compare(bench, folder, *_words(asked, found))
    renamed = bench.one("SELECT count(*) FROM other WHERE kind=?", listing.FILE)
    if in_place:
        tags.withdraw(asked.bag)
        if renamed and not folder.ours:
            aside.mkdir(exist_ok=True)
    else:
        meter.begin("bag", count, size)
        arrange.build(bench, folder, work / DATA, lambda done: meter.add(1, done))
        files.sync_filesystem(work)
    files.replace(plan, b"".join(f"{line}\n".encode() for line in bench.records()))
    if in_place:
        arrange.in_place(bench, folder, aside)
    else:
        (work / DATA).rename(data)
    tags.write(asked.bag, work / "tags", bench, found, sm3=sm3)
    noted = bench.one("SELECT count(*) FROM other")
    return Made(found, count, size, renamed, noted, sm3 if sm3 or not found.sm3 else None, gone)


def _folder(asked: Asked, plan: Path, aside: Path, bench: Bench) -> Folder:
    """Where the files are now, and by what names an earlier run has put them there."""
    data = asked.bag / DATA
    if not data.exists():
        return Folder(os.fsencode(os.path.realpath(asked.source or data)))
    earlier = plan if plan.exists() else asked.bag / tags.NAMES
    if earlier.exists():
        for path, kind, line, stored in listing.read(earlier):
            bench.note(path, kind, line, here=False)
            if stored is not None:
                bench.db.execute("INSERT INTO named VALUES (?, ?)", (path, stored))
    # While moved files wait aside, a folder _x in the payload is one of the vault's own.
    moved = os.fsencode(aside) if aside.exists() else None
    ours = moved is None and bool(bench.one("SELECT EXISTS(SELECT 1 FROM named)"))
    return Folder(os.fsencode(data), ours, moved)


def _words(asked: Asked, found: Record) -> tuple[str, str]:
    """What was tried, and what to do when the files are others."""
    moment = local(found.time)
    what = _("bag of vault {vault} as of {moment}").format(vault=asked.vault, moment=moment)
    if found.not_exact:
        return what, ngettext(
            "that snapshot has {count} path unread or unconfirmed; another one, with --at, may have none",
            "that snapshot has {count} paths unread or unconfirmed; another one, with --at, may have none",
            found.not_exact,
        ).format(count=found.not_exact)  # fmt: skip
    return what, _(
        "restore that very moment into a new folder: vaultd restore {vault} --exact --snapshot {snapshot} --to DIR"
    ).format(vault=asked.vault, snapshot=found.entry["snapshot"][:8])


def _check(asked: Asked) -> None:
    """Refuse folders that this is not for, before anything is written. Raises ConfigError."""
    what, data = _("bag {folder}").format(folder=display(asked.bag)), asked.bag / DATA
    _check_bag(asked.bag, what)
    if asked.source is None and not data.is_dir():
        raise ConfigError(
            what, _("there is no folder data in it"),
            _("restore with --to {data}, or name the restored folder with --from").format(data=display(data)),
        )  # fmt: skip
    if asked.source is not None:
        _check_source(asked.source, asked.bag, what)
    begun = workplace.find(asked.source if asked.source is not None and not data.exists() else data)
    if begun is not None:
        raise ConfigError(
            what, _("an unfinished restore is in {folder}").format(folder=display(begun.path.parent)),
            _("run that command again to finish it"),
        )  # fmt: skip


def _check_bag(bag: Path, what: str) -> None:
    if not bag.exists():
        return
    if not bag.is_dir() or (bag / DATA).is_symlink() or (bag / WORK).is_symlink():
        raise ConfigError(what, _("this is not a folder of its own"), _("take a new folder"))
    known = {DATA, WORK, tags.BAGIT, *tags.TAGS, "lost+found"}
    others = sorted(entry.name for entry in bag.iterdir() if entry.name not in known)
    # A folder "ledger" that we have not made may be the ledger itself: --to of the state folder.
    ours = (bag / tags.LEDGER / tags.PROOF).exists() or (bag / WORK / "plan.jsonl").exists()
    if (bag / tags.LEDGER).exists() and not ours:
        others.append(tags.LEDGER)
    if others:
        raise ConfigError(
            what, _("there is something else in it: {name}").format(name=display(others[0])),
            _("take a new folder, or one with nothing but data in it"),
        )  # fmt: skip


def _check_source(source: Path, bag: Path, what: str) -> None:
    if not source.is_dir():
        raise ConfigError(f"--from {display(source)}", _("there is no such folder"))
    real, there = bytes(source.resolve()), bytes(bag.resolve())
    if payload.inside(real, there) or payload.inside(there, real):
        raise ConfigError(what, _("one of the two folders lies in the other"), _("take a new folder beside it"))
    # An interrupted run that had the payload ready goes on with that.
    unfinished = not (bag / tags.BAGIT).exists() or (bag / WORK).exists()
    tagged = (bag / tags.LEDGER / tags.PROOF).exists() and unfinished
    if (bag / DATA).exists() and not tagged and not (bag / WORK / "plan.jsonl").exists():
        raise ConfigError(
            what, _("there is a folder data in it already"),
            _("leave out --from to take that, or take a new folder"),
        )  # fmt: skip


@contextlib.contextmanager
def _alone(work: Path) -> Iterator[None]:
    """One run at a time. Raises BusyError."""
    with (work / "lock").open("wb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                _("bag {folder}").format(folder=display(work.parent)), _("another vaultd makes it just now")
            ) from None
        yield
