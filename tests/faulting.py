"""What the tests of faults share: a site at work, the command line as a process, alerts, restic in mid-run, and proof
that nothing was lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests import warm
from tests.site import Site, until
from vaultd.alerts import KINDS, hint
from vaultd.control.client import Client
from vaultd.store.alerts import Alert
from vaultd.store.records import RunRow, SnapshotRow

MIB = 1 << 20
LOCK_NAME = 64  # hexadecimal digits


class FaultSite(Site):
    """A site with the target "offsite" and the vault "records", and what tests of faults ask of one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._contents: dict[tuple[str, str, str], dict[bytes, str]] = {}

    def ready(self) -> Path:
        """Write the configuration, give every target its repository; returns the vault's folder."""
        self.prepare()
        return Path(self.vaults["records"]["path"])

    def cli(self, *args: str, prefix: tuple[str, ...] = ()) -> Answer:
        """Run ``vaultd --json ...`` as a process of its own."""
        command = ["--config", str(self.file), "--json", *args]
        if prefix:
            command = [*prefix, sys.executable, "-m", "vaultd", *command]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        else:
            done = warm.run(command)
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        return Answer(done.returncode, json.loads(done.stdout), done.stderr.decode())

    def alert(self, code: str, target: str = "offsite") -> Alert | None:
        """An alert that stands."""
        if not (self.state / "state.db").exists():
            return None
        with contextlib.closing(self.store()) as store:
            return next((one for one in store.alerts.list() if (one.code, one.target) == (code, target)), None)

    def wait_alert(self, code: str, target: str = "offsite") -> Alert:
        """Wait until an alert stands; it says what to do."""
        found: Alert = until(lambda: self.alert(code, target), f"alert {code}; standing: {self.alerts()}")
        assert KINDS[code].hint and "{" not in hint(code, found.vault, found.target, found.detail)
        assert found.detail["error"]
        return found

    def wait_cleared(self, code: str, target: str = "offsite") -> None:
        """Wait until an alert does not stand any more."""
        until(lambda: self.alert(code, target) is None, f"{code} is cleared")

    def owed(self, target: str = "offsite") -> int:
        """How many paths are pending for a target, daemon or not."""
        with contextlib.closing(self.store()) as store:
            return store.backlog(store.target_id(target), store.vault_id("records")).owed

    def runs(self, target: str = "offsite") -> list[RunRow]:
        """The vault's runs at a target, oldest first."""
        with contextlib.closing(self.store()) as store:
            vault = store.vault_id("records")
            return [run for run in reversed(store.runs(target=store.target_id(target))) if run.vault == vault]

    def snapshots_on_record(self, target: str = "offsite") -> list[SnapshotRow]:
        """The vault's snapshots that vaultd has acknowledged at a target, oldest first."""
        with contextlib.closing(self.store()) as store:
            number, vault = store.target_id(target), store.vault_id("records")
            return sorted((s for s in store.snapshots(vault) if s.target == number), key=lambda s: s.number)

    def retry(self, target: str = "offsite") -> None:
        """Have the daemon try a target now: what the waiting is not part of needs not be waited for."""
        Client(self.write().control.socket).retry(target)

    def restic_processes(self, target: str = "offsite") -> list[psutil.Process]:
        """restic as vaultd runs it for a target now: programs, not their gates."""
        mine = str(self.targets[target]["password_file"])
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                environment = process.environ()
                if (
                    process.name() == "restic"
                    and environment.get("RESTIC_PASSWORD_FILE") == mine
                    and "VAULTD_RUN" in environment
                ):
                    found.append(process)
        return found

    def wait_uploading(self, target: str = "offsite", size: int = 1) -> None:
        """Wait until a run is in the middle of sending: so many bytes of data are there, no snapshot of them is."""
        data = self.servers[target].root / "repo" / "data"
        before = stored_bytes(data)

        def sending() -> bool:
            return bool(self.restic_processes(target)) and stored_bytes(data) - before >= size

        until(sending, f"restic sends to {target}")

    def locks(self, target: str = "offsite") -> set[str]:
        """The locks in a repository, without what a killed restic was still writing (restic ignores that too)."""
        found = {path.name for path in (self.servers[target].root / "repo" / "locks").iterdir()}
        return {name for name in found if len(name) == LOCK_NAME}

    def wait_quiet(self, target: str = "offsite") -> None:
        """Wait until everything is protected and the first copy of the state too: restic does not run for a minute."""
        self.wait_protected(target=target)

        def copied() -> bool:
            with contextlib.closing(self.store()) as store:
                state, number = store.known("vault", "vaultd-state"), store.target_id(target)
                return any(run.vault == state and run.state == "done" for run in store.runs(target=number))

        until(copied, "the state is copied")

    def content(self, snapshot: str, target: str = "offsite", vault: str = "records") -> dict[bytes, str]:
        """As the site reads it, but once: a snapshot never changes."""
        key = (snapshot, target, vault)
        if key not in self._contents:
            self._contents[key] = super().content(snapshot, target, vault)
        return self._contents[key]

    def assert_nothing_lost(self, vault: str = "records", target: str = "offsite") -> None:
        """Everything is off-site, with true hashes, as restic reads it back; the alerts of the target are over."""
        if self.daemon is not None:
            self.wait_protected(vault, target)
            until(lambda: not self.owes_ledger(), "everything is on record")
            there = until(lambda: self._good(vault, target), f"protected: {self.at(vault, target)}")
            assert there["state"] == "protected"
            assert self.stop() == 0
        assert self.owed(target) == 0
        assert self.locks(target) == set()
        self.assert_restorable(vault, target)
        assert self.assert_hashes_true(vault, target) > 0
        with contextlib.closing(self.store()) as store:
            assert [alert.code for alert in store.alerts.list() if alert.target == target] == []
        self.assert_no_process_left()

    def _good(self, vault: str, target: str) -> dict[str, Any] | None:
        there = self.at(vault, target)
        return there if there["state"] == "protected" else None

    def assert_no_process_left(self) -> None:
        """No restic and no ssh of this site's runs is there once nothing runs."""
        assert self.daemon is None
        assert self.leftovers() == [] == self.restic_processes()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command of vaultd said: its exit code, its JSON object, its standard error."""

    code: int
    json: dict[str, Any]
    stderr: str

    @property
    def outcome(self) -> dict[str, Any]:
        """The one outcome of a backup."""
        (found,) = self.json["job"]["outcomes"]
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The error of the one outcome; it has a hint."""
        found: dict[str, Any] = self.outcome["error"]
        assert found["hint"] and found["why"], found
        return found


@contextlib.contextmanager
def bare_site(folder: Path) -> Iterator[FaultSite]:
    """A site with the target "offsite" and no vault yet; taken down whatever happens."""
    site = FaultSite(folder)
    try:
        site.add_target()
        yield site
    finally:
        site.close()


@contextlib.contextmanager
def fault_site(folder: Path) -> Iterator[FaultSite]:
    """A site with the target "offsite" and the vault "records" with a few files; taken down whatever happens."""
    with bare_site(folder) as site:
        fill(site.add_vault())
        yield site


def fill(vault: Path, files: int = 12, size: int = 700) -> None:
    """A few files of random bytes in two folders."""
    for number in range(files):
        folder = vault / f"folder {number % 2}"
        folder.mkdir(exist_ok=True)
        (folder / f"file {number}").write_bytes(os.urandom(size + number))


def stored_bytes(folder: Path) -> int:
    """How many bytes of files are below a folder, unfinished ones too."""
    total = 0
    for place, _folders, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


class Holder:
    """Someone else's restic that holds a lock: of this host or, with ``host``, of another one (a UTS namespace)."""

    def __init__(self, site: FaultSite, *args: str, host: str | None = None) -> None:
        found = site.repository()
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(site.folder), "RESTIC_REPOSITORY": found.url,
            "RESTIC_PASSWORD_FILE": str(found.password_file), "RESTIC_CACHE_DIR": str(site.folder / "their-cache"),
        }  # fmt: skip
        prefix = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', host] if host else []
        before = site.locks()
        self.host = host or socket.gethostname()
        self.process = subprocess.Popen(
            [*prefix, "restic", *found.options, *args], env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while not (new := site.locks() - before):
            assert self.process.poll() is None and time.monotonic() < deadline, "no lock was taken"
            time.sleep(0.002)
        self.process.send_signal(signal.SIGSTOP)
        (self.lock,) = new

    def finish(self) -> None:
        """Let it come to its end, by which its lock goes."""
        self.process.send_signal(signal.SIGCONT)
        assert self.process.wait(60) == 0

    def die(self) -> None:
        """Kill it: its lock stays."""
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    @contextlib.contextmanager
    def ended(self) -> Iterator[Holder]:
        """It is gone afterwards, whatever happens."""
        try:
            yield self
        finally:
            if self.process.poll() is None:
                self.die()
