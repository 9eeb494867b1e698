"""The place of a measurement: a vault with a real daemon, and plain restic beside it on the same server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.site import Site
from vaultd.errors import VaultdError
from vaultd.ledger import create
from vaultd.priority import give_way
from vaultd.protect import statecopy
from vaultd.protect.recorded import STATE_VAULT
from vaultd.restic import commands
from vaultd.store import Store
from vaultd.store.records import RunRow, SnapshotRow

SETTLE = 2.0
LONGEST = 3600.0
VAULT, TARGET = "records", "offsite"
REST_SECONDS = 30.0
STATE_SECONDS = 45.0
"""A copy of the state that comes within this time is waited for."""


class Ground:
    """One site with one vault. ``folder`` may hold one already: it is then taken up again."""

    def __init__(self, folder: Path, vault: Path | None = None, *, prefix: tuple[str, ...] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.prefix = folder, prefix
        self.site = Site(folder)
        self.site.light = self.site.warm = False  # a connection and a daemon cost what they cost at work
        self.server = self.site.add_target(TARGET)
        values = {} if vault is None else {"path": vault}
        self.vault = self.site.add_vault(VAULT, settle=f"{SETTLE:g}s", max_delay="10s", **values)
        self.plain_cache = folder / "plain-cache"
        self._plain: subprocess.Popen[bytes] | None = None
        self._store: Store | None = None
        self._started = 0
        self.used = 0.0
        """CPU seconds of what a row has run last."""
        self.plain_cpu = 0.0
        """CPU seconds of the last plain run, ssh included."""

    def prepare(self) -> None:
        """Make what is missing: configuration, ledger and both repositories, with keys as slow as restic makes them."""
        config = self.site.write()
        self.site.state.mkdir(mode=0o700, exist_ok=True)
        if not config.ledger_folder.exists():
            create.make(config.ledger_folder, config.ledger_key, config.host.name)
        if not (self.server.root / "repo" / "config").exists():
            asyncio.run(commands.init(self.site.repository(TARGET)))
        if not (self.server.root / "plain" / "config").exists():
            self._restic("init", prefix=())  # before the server moves to where ``prefix`` can reach it

    def close(self) -> None:
        """End every process. The folder stays."""
        if self._plain is not None and self._plain.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._plain.pid, signal.SIGKILL)
            self._plain.wait()
        self.forget_store()
        self.site.close()

    def remove(self) -> None:
        """Close, and take the folder away."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ours

    def start(self) -> int:
        """Start the daemon without waiting for it; the time just before, in nanoseconds since 1970."""
        self._started = time.time_ns()
        self.site.start(wait=False, prefix=self.prefix)
        return self._started

    def stop(self) -> None:
        """End the daemon in order."""
        self.forget_store()
        if self.site.daemon is not None:
            self.site.stop()

    def restart(self, host: dict[str, object] | None = None, **vault: object) -> None:
        """Start the daemon with other settings, and wait until all is safe and its first scan is over."""
        self.stop()
        self.site.host = {"name": "ward", "state": self.site.state, **(host or {})}
        self.site.vaults[VAULT].update(vault)
        self.site.write()
        before = self.start()
        self.wait(lambda: (self._complete() or 0) >= before and self.unsafe() == 0, "the first scan is over")

    @property
    def daemon(self) -> psutil.Process:
        """The daemon's process."""
        assert self.site.daemon is not None
        return psutil.Process(self.site.daemon.pid)

    def cpu(self) -> float:
        """CPU seconds of the daemon and of its children that have ended, theirs included."""
        threads = 0
        for task in Path(f"/proc/{self.daemon.pid}/task").iterdir():  # exact; its "stat" counts only whole ticks
            with contextlib.suppress(OSError):
                threads += int((task / "schedstat").read_text().split()[0])
        times = self.daemon.cpu_times()
        own = max(threads / 1e9, times.user + times.system)  # a thread that has ended is in the second one alone
        return float(own + times.children_user + times.children_system)

    def peak(self) -> float:
        """The daemon's largest resident size so far, in MB."""
        for line in Path(f"/proc/{self.daemon.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1000
        return 0.0

    def wait(self, true: Callable[[], Any], what: str, seconds: float = LONGEST) -> Any:
        """Poll, 50 times a second, until something is true. Raises RuntimeError with the end of the daemon's log."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(VaultdError, sqlite3.Error):  # no database yet, or just being made
                found = true()
                if found:
                    return found
            if self.site.daemon is None or self.site.daemon.poll() is not None:
                raise RuntimeError(f"the daemon ended: {self.site.log.read_text()[-2000:]}")
            time.sleep(0.02)
        raise RuntimeError(f"not within {seconds:.0f} s: {what}: {self.site.log.read_text()[-2000:]}")

    @property
    def store(self) -> Store:
        """The state database, read only."""
        if self._store is None:
            self._store = self.site.store()
        return self._store

    def forget_store(self) -> None:
        """Close the state database."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _one(self, query: str) -> Any:
        return self.store.database.reader().execute(query).fetchone()[0]

    def _complete(self) -> int | None:
        return self.store.totals(self.store.vault_id(VAULT))[2]

    def unsafe(self) -> int:
        """How many paths have content that is in no snapshot."""
        return int(self._one("SELECT count(*) FROM pending WHERE unsafe_since IS NOT NULL"))

    def owed(self) -> int:
        """How many paths no full snapshot has."""
        return int(self._one("SELECT count(*) FROM pending"))

    def newest(self, after: int, kind: str | None) -> SnapshotRow | None:
        """The newest snapshot acknowledged after a time."""
        found = self.store.snapshots(limit=1)
        right = found and found[0].acknowledged > after and kind in (None, found[0].kind)
        return found[0] if right else None

    def safe(self, after: int, kind: str | None = None, *, owed: bool = False) -> float:
        """Wait until all content is in a snapshot (``owed``: in a full one) and one was acknowledged after a time.

        Returns the seconds from that time until the acknowledgement could be read from the database. (The time in its
        row, ``snapshot.acknowledged``, is from before that transaction's end: a little too good.)
        """

        def there() -> int | None:
            seen = time.time_ns()
            if self.newest(after, kind) is None:
                return None
            return seen if (self.owed() if owed else self.unsafe()) == 0 else None

        return (int(self.wait(there, "everything is off-site")) - after) / 1e9

    def versions_below(self, folder: str) -> int:
        """How many paths below a folder of the vault have a version: what an overflow hides has none yet."""
        query = f"SELECT count(DISTINCT path) FROM version WHERE path>=x'{folder.encode().hex()}2f'"
        return int(self._one(f"{query} AND path<x'{folder.encode().hex()}30'"))

    def runs(self, since: int) -> list[RunRow]:
        """The runs of restic that began after a time, oldest first."""
        return [run for run in reversed(self.store.runs(limit=5000)) if run.started >= since]

    def story(self, since: int) -> str:
        """The runs since a time, in words: for the notes."""
        words = []
        with contextlib.suppress(RuntimeError):
            self.wait(lambda: not self.store.runs(state="running"), "no run is left", 60)
        for run in self.runs(since):
            name = run.kind if run.vault == self.store.vault_id(VAULT) else "state"
            words.append(f"{name} at {(run.started - since) / 1e9:.1f} s for {run.seconds or 0:.1f} s")
        return "; ".join(words)

    def quiet(self, *, owed: bool = True) -> None:
        """Wait until a change would be protected at once: nothing due, no rest after the last run, the state copied."""
        self.wait(lambda: (self.owed() if owed else self.unsafe()) == 0, "nothing is owed")
        self.wait(lambda: not self._state_is_due(), "the state is off-site")
        self.wait(lambda: not self.store.runs(state="running"), "no run is left")
        last = self.store.runs(limit=1)
        if last and last[0].finished:
            rest = min(REST_SECONDS, 4 * (last[0].seconds or 0))
            time.sleep(max(0.0, rest - (time.time_ns() - last[0].finished) / 1e9) + 0.2)

    def _state_is_due(self) -> bool:
        """Whether a copy of the state is about to be made, which would hold up what is measured."""
        newest, state = self.store.snapshots(limit=1), self.store.vault_id(STATE_VAULT)
        copies = [run for run in self.store.runs(limit=1000) if run.vault == state and run.state == "done"]
        if not newest:
            return False
        if not copies or copies[0].finished is None or copies[0].started < self._started:
            return True  # the daemon makes one soon after its start
        if copies[0].started > newest[0].acknowledged:
            return False
        pause = max(statecopy.SHORTEST_SECONDS, statecopy.SHARE * (copies[0].seconds or 0))
        return copies[0].finished / 1e9 + pause < time.time() + STATE_SECONDS

    # plain restic

    def plain(self) -> float:
        """A plain whole-tree backup; seconds."""
        return self._restic("backup", str(self.vault))

    def restore_plain(self, snapshot: str, to: Path) -> float:
        """restic's own restore of a snapshot in our repository, giving way to others as ours does; seconds."""
        return self._restic("restore", f"{snapshot}:{self.vault}", "--target", str(to), repository="repo", nice=True)

    def warm_plain(self, snapshot: str) -> None:
        """Let plain restic's cache hold what ours has from making the snapshots: index and folders."""
        self._restic("ls", snapshot, repository="repo")

    def _restic(
        self, *args: str, prefix: tuple[str, ...] | None = None, repository: str = "plain", nice: bool = False
    ) -> float:
        found = self.site.repository(TARGET)
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "RESTIC_CACHE_DIR": str(self.plain_cache),
            "RESTIC_REPOSITORY": found.url.removesuffix(":repo") + f":{repository}",
            "RESTIC_PASSWORD_FILE": str(found.password_file),
        }  # fmt: skip
        where = self.prefix if prefix is None else prefix
        begun = time.monotonic()
        with open(self.folder / "plain.log", "ab") as log:
            self._plain = subprocess.Popen(
                [*where, "restic", *found.options, *args], env=environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            if nice:  # where others work, that makes more of a difference than anything
                give_way(self._plain.pid)
            _pid, status, used = os.wait4(self._plain.pid, 0)
            code = self._plain.returncode = os.waitstatus_to_exitcode(status)
        self.plain_cpu = used.ru_utime + used.ru_stime
        if code:
            raise RuntimeError(f"restic {args[0]} ended with {code}: {(self.folder / 'plain.log').read_text()[-1000:]}")
        return time.monotonic() - begun
