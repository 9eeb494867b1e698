"""Keeps the pull list fresh: looks again when a disk comes or goes, an array loses a member, a mount changes, and from
time to time. What has changed is logged and goes on record; a disk of a vault that is gone is an alert.

The kernel's word that something happened (by netlink) only makes it look sooner: what decides is what is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vaultd import places, priority
from vaultd.config.model import Config
from vaultd.custody import Custody
from vaultd.disks import kept as kept_disks
from vaultd.errors import StateError
from vaultd.i18n import _
from vaultd.ledger.events import PullListChanged
from vaultd.pull import kept, making
from vaultd.pull.model import RELEASED, Noticed, Pull, PullList
from vaultd.status import plans
from vaultd.store import Store

if TYPE_CHECKING:
    import pyudev  # type: ignore[import-untyped]

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
SETTLE_SECONDS = 2.0
"""udev and the kernel do more than one thing when a disk comes or goes."""

REFRESH_SECONDS = 300.0
"""What is not safe off-site changes all the time, and is on the list."""

LEAST_SECONDS = 30.0
"""From one list to the next at least: it takes half a second of a processor, and there are machines on which something
is mounted all the time."""

START_SECONDS = 30.0
"""After a start protection goes first."""

STEP_SECONDS = 3.0
"""In an evacuation what is safe changes all the time: the list keeps step, from the state database alone."""

STEP_SHARE = 10.0
"""The next such look comes after at least so many times as long as the last one took."""

MAKE_SECONDS = 120.0
KILL_SECONDS = 1.0
KNOWN = "pull-list"
"""Under this key: the list that was recorded last, as far as it matters."""


class Known(NamedTuple):
    """A disk as it was recorded last."""

    key: str
    bay: str
    text: str
    vaults: list[str]


class DiskWatch:
    """The task of the daemon."""

    def __init__(self, config: Config, store: Store, custody: Custody) -> None:
        self._file, self._state, self._store, self._custody = config.file, config.host.state, store, custody
        self._signs = ""
        self._made_at = -REFRESH_SECONDS
        self._said: object = None
        self._step_at = 0.0
        self._plugged: tuple[Noticed, ...] = ()

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.sleep(START_SECONDS)
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()
        with heard(woken.set):
            while True:
                now = await asyncio.to_thread(signs)
                if loop.time() - self._made_at > (REFRESH_SECONDS if now == self._signs else LEAST_SECONDS):
                    self._signs, self._made_at = now, loop.time()
                    await self.once()
                evacuating = making.under_way(self._store)
                if evacuating:
                    await self.keep_step()
                woken.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), STEP_SECONDS if evacuating else POLL_SECONDS)
                    await asyncio.sleep(SETTLE_SECONDS)

    async def once(self) -> None:
        """Make the list anew, and say what has changed. What goes wrong is logged: the last list stays."""
        try:
            await self._make()
            await asyncio.to_thread(self._look)
        except StateError as error:
            log.warning("the pull list is not fresh: %s", error)

    async def keep_step(self) -> bool:
        """Bring the kept list into step with what is safe now and who has signed for which disk, without asking a disk;
        True when it has changed. Called as often as one likes: it looks once in some seconds at most."""
        now = asyncio.get_running_loop().time()
        if now < self._step_at:
            return False
        try:
            changed = await asyncio.to_thread(self._step)
        except StateError as error:
            log.warning("the pull list is not in step: %s", error)
            changed = False
        ended = asyncio.get_running_loop().time()
        self._step_at = ended + max(STEP_SECONDS, STEP_SHARE * (ended - now))
        return changed

    def _step(self) -> bool:
        found = places.locate(self._file)
        made = making.again(self._state, found.host, plans(found.raw), self._store)
        if made is None:
            return False
        said = ([line.need for line in made.vaults], [(pull.disk.key, pull.gone) for pull in made.pulls])
        if said == self._said:
            return False
        kept.write(self._state, made)
        self._said = said
        return True

    def _look(self) -> None:
        made, there = kept.read(self._state), kept_disks.last(self._state)
        if made is not None and there is not None:
            self._compare(made, {disk.key for disk in there.disks})
            self._look_for_media(made.media)

    def _look_for_media(self, plugged: tuple[Noticed, ...]) -> None:
        """A registered medium that was plugged in: the daemon may not mount it, so it says the command that does."""
        for one in plugged:
            if one not in self._plugged:
                log.warning("medium %s is plugged in (%s): to use it: %s", one.label, one.device, one.command)
        self._plugged = plugged

    async def _make(self) -> None:
        """In a process of its own, which is ended when its time is over, or ours. Raises StateError."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "vaultd.pull", str(self._file), str(os.getpid()), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        priority.give_way(process.pid)
        what = _("the pull list cannot be made")
        try:
            _out, said = await asyncio.wait_for(process.communicate(), MAKE_SECONDS)
        except TimeoutError:
            raise StateError(what, _("a disk does not answer")) from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                with contextlib.suppress(TimeoutError):  # it may hang in the kernel
                    await asyncio.wait_for(process.wait(), KILL_SECONDS)
        if process.returncode != 0:
            raise StateError(what, said.decode("utf-8", "replace").strip() or f"exit code {process.returncode}")

    def _compare(self, made: PullList, there: set[str]) -> None:
        """Log and record how the list differs from the one that was recorded last, and raise or clear alerts."""
        new = {pull.disk.key: _known(pull) for pull in made.pulls}
        text = self._store.get_meta(KNOWN)
        old = {row[0]: Known(*row) for row in json.loads(text)} if text else {}
        self._look_for_gone({**old, **new}, there)
        if list(old.values()) == list(new.values()):
            return
        came, went = [key for key in new if key not in old], [key for key in old if key not in new]
        moved = [key for key, one in new.items() if key in old and old[key].bay != one.bay]
        for key in came:
            log.warning("pull list: + %s, bay %s", new[key].text, new[key].bay or "?")
        for key in went:
            log.warning("pull list: - %s, bay %s", old[key].text, old[key].bay or "?")
        for key in moved:
            log.warning("pull list: %s: bay %s, was %s", new[key].text, new[key].bay or "?", old[key].bay or "?")
        log.warning("pull list: now %s with %d disks", made.number, len(new))
        if [(one.key, one.bay) for one in old.values()] != [(one.key, one.bay) for one in new.values()]:
            self._custody.note(PullListChanged(made.number, list(new), came, went, moved))
        self._store.set_meta(KNOWN, json.dumps(list(new.values())))

    def _look_for_gone(self, watched: Mapping[str, Known], there: set[str]) -> None:
        """An alert for each disk of a vault that is no longer there, unless somebody has let it go."""
        for key, one in watched.items():
            if key in there or self._store.get_meta(RELEASED + key):
                continue
            detail = {"disk": one.text, "bay": one.bay or "?", "vaults": ", ".join(one.vaults)}
            self._store.alerts.raise_("disk-gone", target=key, detail=detail)
        for key in there:
            self._store.alerts.clear("disk-gone", target=key)
            if self._store.get_meta(RELEASED + key) and key in watched:
                self._back(key)

    def _back(self, key: str) -> None:
        """A disk that was let go is in use again: from now on its absence is an alert."""
        if not self._store.alerts.is_open("disk-gone", target=key):
            self._store.set_meta(RELEASED + key, "")


def _known(pull: Pull) -> Known:
    disk = pull.disk
    text = " ".join(part for part in (disk.vendor, disk.model, disk.serial) if part) or disk.key
    return Known(disk.key, disk.bay.text if disk.bay is not None else "", text, list(pull.vaults))


def signs(sys_: Path = Path("/sys"), proc: Path = Path("/proc")) -> str:
    """A digest of what a change of disks shows in: which there are, how often each has appeared, arrays' members and
    states, mounts, swap. Files of the kernel's memory only; no disk is asked."""
    found = hashlib.sha256()
    for row in (*_of_devices(sys_ / "block"), _text(proc / "self/mountinfo"), _text(proc / "swaps")):
        found.update(row.encode("utf-8", "surrogateescape") + b"\0")
    return found.hexdigest()


def _of_devices(block: Path) -> Iterator[str]:
    for name in sorted(os.listdir(block)):
        yield name
        for part in ("diskseq", "size", "md/degraded", "md/array_state", "loop/backing_file", "dm/uuid"):
            yield _text(block / name / part)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "surrogateescape")
    except OSError:
        return ""


@contextlib.contextmanager
def heard(told: Callable[[], None]) -> Iterator[bool]:
    """Call ``told`` in the running loop whenever the kernel says that a block device came, went or changed. False where
    that cannot be had: looking from time to time must do."""
    monitor = _monitor()
    if monitor is None:
        yield False
        return
    loop = asyncio.get_running_loop()

    def read() -> None:
        with contextlib.suppress(OSError):  # too many at once: they were there all the same
            while monitor.poll(0) is not None:
                continue
        told()

    loop.add_reader(monitor.fileno(), read)
    try:
        yield True
    finally:
        loop.remove_reader(monitor.fileno())


def _monitor() -> pyudev.Monitor | None:
    try:
        import pyudev

        # The kernel's own words: they come where no udevd runs too.
        monitor = pyudev.Monitor.from_netlink(pyudev.Context(), "kernel")
        monitor.filter_by("block")
        monitor.start()
    except (ImportError, OSError) as error:
        log.info("disks are looked for every %d s: no word of them from the kernel: %s", POLL_SECONDS, error)
        return None
    return monitor
