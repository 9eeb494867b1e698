"""A whole vaultd for tests: vaults, real off-site servers, a real daemon process, and a look at what is really there.

``Site`` makes a configuration file in a folder and everything that it names. The daemon is ``python -m vaultd run`` in
a session of its own. What a repository holds is read back by restic alone, never by vaultd.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from tests import warm
from tests.quick_repository import quick_repository
from vaultd import targets, units
from vaultd.config import Config, load
from vaultd.control.client import Client
from vaultd.daemon import protect_once
from vaultd.demo.offsite import OffsiteServer
from vaultd.errors import VaultdError
from vaultd.ledger import create
from vaultd.ledger.entry import decode, path_of
from vaultd.ledger.reading import Reader
from vaultd.ledger.verify import verify
from vaultd.restic.process import Repository
from vaultd.store import Store

WAIT = 90.0


def until(true: Callable[[], Any], what: str, seconds: float = WAIT) -> Any:
    """Poll until something is true; the test fails with ``what`` when it does not become so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = true()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


def toml(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(os.fspath(value) if isinstance(value, os.PathLike) else value, ensure_ascii=False)


class Site:
    """One host with its vaults and off-site servers, all below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "vaultd.toml"
        self.state = folder / "state"
        self.host: dict[str, object] = {"name": "ward", "state": self.state}
        self.vaults: dict[str, dict[str, Any]] = {}
        self.targets: dict[str, dict[str, Any]] = {}
        self.servers: dict[str, OffsiteServer] = {}
        self.daemon: subprocess.Popen[bytes] | warm.Process | None = None
        self.log = folder / "daemon.log"
        self.file_tail = ""
        """More tables of the configuration."""
        self.light = True
        """Whether connections to the servers cost less than to real ones (``OffsiteServer``)."""
        self.warm = True
        """Whether the daemon is forked from a process that has vaultd loaded (``tests.warm``)."""

    def add_target(self, name: str = "offsite", **values: object) -> OffsiteServer:
        """A running server and a target for it, with the host key pinned and an empty repository."""
        server = OffsiteServer(self.folder / name, light=self.light)
        server.start()
        self.servers[name] = server
        password, known_hosts = self.folder / f"{name}.password", self.folder / f"{name}.known_hosts"
        password.write_text(f"password of {name}\n")
        password.chmod(0o600)
        known_hosts.write_text(server.known_hosts_line())
        self.targets[name] = {
            "name": name, "host": server.host, "port": server.port, "user": server.user, "path": "repo",
            "identity": server.identity, "password_file": password, "known_hosts": known_hosts, **values,
        }  # fmt: skip
        return server

    def add_vault(self, name: str = "records", **values: object) -> Path:
        """An empty vault, protected at every target that there is."""
        path = Path(str(values.pop("path", self.folder / name)))
        path.mkdir(exist_ok=True)
        self.vaults[name] = {
            "name": name, "path": path, "classification": "secret", "targets": list(self.targets), "settle": "200ms",
            "max_delay": "2s", **values,
        }  # fmt: skip
        return path

    def write(self) -> Config:
        """Write vaultd.toml and read it back."""
        lines = ["[host]", *(f"{key} = {toml(value)}" for key, value in self.host.items())]
        for target in self.targets.values():
            lines += ["[[target]]", *(f"{key} = {toml(value)}" for key, value in target.items())]
        for vault in self.vaults.values():
            dumps, retention = vault.get("dump", []), vault.get("retention")
            own = [(key, value) for key, value in vault.items() if key not in ("dump", "retention")]
            lines += ["[[vault]]", *(f"{key} = {toml(value)}" for key, value in own)]
            if retention is not None:
                lines += ["[vault.retention]", *(f"{key} = {toml(value)}" for key, value in retention.items())]
            for dump in dumps:
                lines += ["[[vault.dump]]", *(f"{key} = {toml(value)}" for key, value in dump.items())]
        self.file.write_text("\n".join(lines) + "\n" + self.file_tail)
        return load(self.file)

    def prepare(self) -> Config:
        """Write the configuration, and make the repositories and the ledger that are not there."""
        config = self.write()
        self.state.mkdir(mode=0o700, exist_ok=True)
        for target in config.target:
            folder = self.servers[target.name].root / target.path
            if not (folder / "config").exists():
                quick_repository(folder, target.password_file)
        if not config.ledger_folder.exists():
            create.make(config.ledger_folder, config.ledger_key, config.host.name)
        return config

    def repository(self, name: str = "offsite") -> Repository:
        """The repository of a target, for a look with ``vaultd.restic``."""
        config = load(self.file)
        return targets.repository(config, config.target_named(name))

    # the daemon

    def start(self, *, wait: bool = True, prefix: tuple[str, ...] = ()) -> None:
        """Start the daemon; ``wait`` until its socket answers."""
        args = ["--config", str(self.file), "run"]
        with self.log.open("ab") as log, open(os.devnull, "rb") as nothing:
            said = log.fileno()
            if self.warm and not prefix:
                self.daemon = warm.Process(
                    args, stdin=nothing.fileno(), stdout=said, stderr=said, start_new_session=True
                )
            else:
                self.daemon = subprocess.Popen(
                    [*prefix, sys.executable, "-m", "vaultd", *args],
                    stdin=nothing, stdout=said, stderr=said, start_new_session=True,
                )  # fmt: skip
        if wait:
            until(lambda: self._ended() or self._answers(), "the daemon answers")
            assert self.daemon.poll() is None, self.log.read_text()

    def _ended(self) -> bool:
        return self.daemon is not None and self.daemon.poll() is not None

    def _answers(self) -> bool:
        try:
            self.last_status()
        except VaultdError:
            return False
        return True

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the daemon; its exit code."""
        assert self.daemon is not None
        if self.daemon.poll() is None:
            self.daemon.send_signal(number)
        code = self.daemon.wait(60)
        self.daemon = None
        return code

    def kill(self) -> None:
        """``kill -9`` of the daemon alone, as a crash: its children go on."""
        self.stop(signal.SIGKILL)

    def status(self) -> dict[str, Any]:
        """The running daemon's status of now: where it is dear to make, it is given again for a while."""
        begun = units.rfc3339(time.time_ns())
        client = Client(load(self.file).control.socket)
        found: dict[str, Any] = client.status()
        while found["as_of"] < begun:
            time.sleep(0.05)
            found = client.status()
        return found

    def last_status(self) -> dict[str, Any]:
        """The status as the daemon gives it, perhaps for the second time."""
        return Client(load(self.file).control.socket).status()

    def at(self, vault: str = "records", target: str = "offsite") -> dict[str, Any]:
        """What the status says of a vault at a target."""
        (found,) = [v for v in self.status()["vaults"] if v["name"] == vault]
        (there,) = [t for t in found["targets"] if t["target"] == target]
        return there

    def alerts(self) -> set[str]:
        """The codes of the alerts that stand, daemon or not."""
        store = self.store()
        try:
            return {alert.code for alert in store.alerts.list()}
        finally:
            store.close()

    def wait_protected(self, vault: str = "records", target: str = "offsite", seconds: float = WAIT) -> None:
        """Wait until nothing of a vault is owed to a target."""

        def protected() -> bool:
            there = self.at(vault, target)
            return there["owed"] == 0 and there["last_full"] is not None and there["state"] != "pending"

        until(protected, f"{vault} protected at {target}: {self.log.read_text()[-2000:]}", seconds)

    def backup(self, *vaults: str, full: bool = False, accept_empty: bool = False) -> list[Any]:
        """``vaultd backup`` in this process."""
        config = load(self.file)
        return protect_once(config, vaults, full=full, accept_empty=accept_empty, on_progress=lambda _progress: None)

    def store(self) -> Store:
        """The state database, read only. Close it."""
        return Store(self.state / "state.db", read_only=True)

    def owes_ledger(self) -> bool:
        """Whether something is not on record yet."""
        store = self.store()
        try:
            return store.owes_ledger()
        finally:
            store.close()

    def entries(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What is on record, signed or not, in order; of one type, or of any."""
        found = [decode(one) for one in Reader(self.state / "ledger").in_order()]
        return [one for one in found if kind in (None, one["type"])]

    # what is really there, by restic alone

    def restic(self, *args: str | bytes, target: str = "offsite") -> bytes:
        """Run restic by hand; its standard output."""
        found = self.repository(target)
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "RESTIC_REPOSITORY": found.url,
            "RESTIC_PASSWORD_FILE": str(found.password_file), "RESTIC_CACHE_DIR": str(self.folder / "hand-cache"),
        }  # fmt: skip
        command = ["restic", *found.options, *args]
        return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout

    def snapshots(self, target: str = "offsite", vault: str = "records", kind: str = "") -> list[dict[str, Any]]:
        """restic's list of a vault's snapshots, oldest first by vaultd's order."""
        listed = json.loads(self.restic("snapshots", "--json", target=target)) or []
        wanted = {"vaultd", f"vault={vault}"} | ({f"kind={kind}"} if kind else set())
        found = [snapshot for snapshot in listed if wanted <= set(snapshot.get("tags") or [])]
        return sorted(found, key=lambda s: next(tag for tag in s["tags"] if tag.startswith("id=")))

    def content(self, snapshot: str, target: str = "offsite", vault: str = "records") -> dict[bytes, str]:
        """Every regular file of a snapshot: path relative to the vault -> SHA-256 of what is stored."""
        root = os.fsencode(self.vaults[vault]["path"]) + b"/"
        raw = self.restic("dump", "--archive", "tar", snapshot, "/", target=target)
        found: dict[bytes, str] = {}
        with tarfile.open(fileobj=io.BytesIO(raw), encoding="utf-8", errors="surrogateescape") as archive:
            for member in archive:
                name = b"/" + os.fsencode(member.name).lstrip(b"/")
                if (member.isfile() or member.islnk()) and name.startswith(root):
                    stream = archive.extractfile(member)
                    assert stream is not None
                    found[name[len(root) :]] = hashlib.sha256(stream.read()).hexdigest()
        return found

    def on_disk(self, vault: str = "records") -> dict[bytes, str]:
        """Every regular file of a vault as it is now."""
        root = os.fsencode(self.vaults[vault]["path"])
        found = {}
        for folder, _folders, names in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as stream:
                        found[os.path.relpath(path, root)] = hashlib.file_digest(stream, "sha256").hexdigest()
        return found

    def assert_restorable(self, vault: str = "records", target: str = "offsite") -> None:
        """The newest full snapshot holds exactly what is in the vault, as restic alone reads it back."""
        newest = self.snapshots(target, vault, "full")[-1]
        assert self.content(newest["id"], target, vault) == self.on_disk(vault)

    def assert_hashes_true(self, vault: str = "records", target: str = "offsite") -> int:
        """Every version that was recorded with a snapshot at this target is in it, with that hash, and in the ledger,
        which holds. Returns how many."""
        if self.daemon is not None:
            until(lambda: not self.owes_ledger(), "everything is on record")
        verify(self.state / "ledger")
        store = self.store()
        try:
            there = store.target_id(target)
            by_set = {row.change_set: row.snapshot for row in store.snapshots() if row.target == there}
            found = store.versions(store.vault_id(vault))
            versions = [v for v in found if v.state != "deleted" and v.change_set in by_set]
        finally:
            store.close()
        contents: dict[str, dict[bytes, str]] = {}
        for version in versions:
            snapshot = by_set[version.change_set]
            if snapshot not in contents:
                contents[snapshot] = self.content(snapshot, target, vault)
            assert version.sha256 is not None
            assert contents[snapshot].get(version.path) == version.sha256.hex(), version
        on_record = {
            (one["change_set"], path_of(one), one["sha256"]) for one in self.entries("version") if "sha256" in one
        }
        for version in versions:
            assert (version.change_set, version.path, (version.sha256 or b"").hex()) in on_record, version
        snapshots = {(one["snapshot"], one["change_set"]) for one in self.entries("snapshot")}
        assert {(snapshot, change_set) for change_set, snapshot in by_set.items()} <= snapshots
        return len(versions)

    def leftovers(self) -> list[psutil.Process]:
        """Processes of this site's runs that are still there (restic, ssh, gates), the daemon not counted."""
        mark, found = str(self.folder), []
        for process in psutil.process_iter():
            try:
                words = " ".join(process.cmdline())
                environment = process.environ()
            except (psutil.Error, OSError):
                continue
            if self.daemon is not None and process.pid == self.daemon.pid:
                continue
            if "sshd" in words or "sftp-server" in words:
                continue
            if "VAULTD_RUN" in environment and mark in " ".join(environment.values()):
                found.append(process)
        return found

    def close(self) -> None:
        """End everything that this site started."""
        if self.daemon is not None:
            with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                self.stop()
        if self.daemon is not None:
            self.kill()
        for process in self.leftovers():
            with contextlib.suppress(psutil.Error):
                process.kill()
        for server in self.servers.values():
            server.stop()


@contextlib.contextmanager
def site_in(folder: Path) -> Iterator[Site]:
    """A site that is taken down at the end, whatever happens."""
    site = Site(folder)
    try:
        yield site
    finally:
        site.close()
