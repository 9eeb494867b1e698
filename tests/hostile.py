"""What the tests of crashes, bursts and clocks share: a writer that never rests, all processes of a site, its records.

Everything off-site is read by restic alone, from the server's folder, so that no daemon and no line are in between.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.site import Site, until
from vaultd.places import database

KIB, MIB = 1 << 10, 1 << 20


def seed() -> int:
    """The seed of a test's chance: printed, and taken from VAULTD_SEED to have the same again."""
    found = int(os.environ.get("VAULTD_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"VAULTD_SEED={found}")
    return found


class HostileSite(Site):
    """A site whose repositories are looked at on the server's disk, and whose processes can all be told."""

    def restic(self, *args: str | bytes, target: str = "offsite") -> bytes:
        """Run restic by hand on the server's folder, without a lock."""
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "RESTIC_CACHE_DIR": str(self.folder / "hand-cache"),
            "RESTIC_REPOSITORY": str(self.servers[target].root / "repo"),
            "RESTIC_PASSWORD_FILE": str(self.targets[target]["password_file"]),
        }  # fmt: skip
        command = ["restic", "--no-lock", *args]
        return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout

    def processes(self) -> list[psutil.Process]:
        """Everything that this site has started and that is there: the daemon, restic, gates, ssh, scans, hashers.

        They carry the site's folder in their words or environment (``PYTHONPATH``, for those of ours).
        """
        mark, found = str(self.folder), []
        for process in psutil.process_iter():
            try:
                words = [*process.cmdline(), *process.environ().values()]
                if process.status() == psutil.STATUS_ZOMBIE or process.name().startswith(("sshd", "sftp-server")):
                    continue
            except (psutil.Error, OSError):
                continue
            if process.pid != os.getpid() and any(mark in word for word in words):
                found.append(process)
        return found

    def assert_gone(self, old: list[psutil.Process]) -> None:
        """None of these processes is there any more (a number that was used again is another process).

        What the next daemon ends is gone when it is up. Scans and hashers are killed by the kernel, together with their
        daemon; they are gone when they get a processor, which is a moment later on a busy machine.
        """
        assert [left for left in old if _lives(left) and not _is_helper(left)] == []
        until(lambda: not any(map(_lives, old)), "the processes of before are gone", 10)

    def crash(self) -> list[psutil.Process]:
        """``kill -9`` of the daemon alone; returns all processes that were there, the daemon too."""
        before = self.processes()
        self.kill()
        return before

    def wait_caught_up(self, vault: str = "records", target: str = "offsite", seconds: float = 120) -> None:
        """Wait until the status says protected."""

        def protected() -> bool:
            found = self.at(vault, target)
            return bool(found["state"] == "protected" and found["owed"] == 0)

        try:
            until(protected, f"{vault} protected at {target}", seconds)
        except AssertionError as error:
            log = self.log.read_text(errors="replace")[-2000:]
            raise AssertionError(f"{error}\n{self.at(vault, target)}\n{self.told()}\n{log}") from error

    def answers(self) -> bool:
        """Whether the daemon answers."""
        return self._answers()

    def told(self) -> str:
        """What the runs were, oldest first."""
        with contextlib.closing(self.store()) as store:
            rows = [f"{r.id[:12]} {r.kind} {r.state} {r.seconds or 0:.1f} s {r.error or ''}" for r in store.runs()]
        return "\n".join(reversed(rows))

    def restics(self, vault: str = "records") -> list[psutil.Process]:
        """The restic processes that store something of a vault now, as vaultd has started them."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if process.name() == "restic" and "backup" in words and f"vault={vault}" in words:
                    found.append(process)
        return found

    def uploading(self, target: str = "offsite") -> psutil.Process | None:
        """A restic in mid-upload: it has a lock, and an unfinished pack is on the server."""
        data = self.servers[target].root / "repo" / "data"
        if not self.locks(target) or not any(len(name) != 64 for _at, _in, names in os.walk(data) for name in names):
            return None
        return next(iter(self.restics()), None)

    def acknowledged(self, vault: str = "records") -> set[str]:
        """The snapshots on record."""
        with contextlib.closing(self.store()) as store:
            return {row.snapshot for row in store.snapshots(store.vault_id(vault))}

    def locks(self, target: str = "offsite") -> list[str]:
        """The lock files of a repository."""
        return os.listdir(self.servers[target].root / "repo" / "locks")

    def assert_records_true(self, target: str = "offsite", vault: str = "records") -> None:
        """Nothing is on record that is not in a snapshot: each snapshot is there, and each version in its snapshot."""
        there = {snapshot["id"] for snapshot in json.loads(self.restic("snapshots", "--json", target=target))}
        with contextlib.closing(self.store()) as store:
            missing = [row for row in store.snapshots() if row.snapshot not in there]
            sets = {row.change_set for row in store.snapshots(store.vault_id(vault))}
            strays = [v for v in store.versions(store.vault_id(vault)) if v.change_set not in sets]
        assert (missing, strays) == ([], [])
        self.assert_hashes_true(vault, target)

    def tracebacks(self) -> int:
        """How many stack traces are in the daemon's log."""
        return self.log.read_text(errors="replace").count("Traceback (most recent call last)")


def _is_helper(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(word in ("vaultd.hashing", "vaultd.watch.scanner") for word in process.cmdline())
    return True  # gone meanwhile


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@contextlib.contextmanager
def hostile_site(folder: Path, kind: type[HostileSite] = HostileSite) -> Iterator[HostileSite]:
    """A site with the target "offsite"; taken down whatever happens."""
    site = kind(folder)
    site.warm = False  # its processes are told by words and environment
    mark = folder / "python-path"
    mark.mkdir()
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(mark), before)))  # every child of ours carries it
    try:
        site.add_target()
        yield site
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
        site.close()
        for left in site.processes():
            with contextlib.suppress(psutil.Error):
                left.kill()


class Writer(threading.Thread):
    """Creates, rewrites, appends to, renames and deletes files and folders in a vault until ``finish``.

    ``paused`` holds it between two operations. ``closed`` is what it knows to be on disk: path to SHA-256 of each file.
    """

    def __init__(self, root: Path, chance: random.Random, rest: float = 0.01) -> None:
        super().__init__(daemon=True)
        self.root = root
        self.chance = chance
        self.rest = rest
        self.closed: dict[str, str] = {}
        self.operations = 0
        self._free = threading.Lock()
        self._ended = threading.Event()
        self._number = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._ended.wait(self.rest):
                with self._free:
                    self._operate()
        except BaseException as error:
            self.failure = error
            raise

    @contextlib.contextmanager
    def paused(self) -> Iterator[dict[str, str]]:
        """Nothing is written inside."""
        with self._free:
            yield self.closed

    def finish(self) -> None:
        """End, after the operation in motion."""
        self._ended.set()
        self.join(30)
        assert self.failure is None and not self.is_alive()

    def _operate(self) -> None:
        self.operations += 1
        choices = [self._create] * 4
        if len(self.closed) > 20:
            choices += [self._rewrite] * 4 + [self._append, self._replace] * 2 + [self._rename, self._delete] * 2
            choices += [self._rename_folder]
        if len(self.closed) > 300:
            choices += [self._delete_folder]
        self.chance.choice(choices)()

    def _any(self) -> str:
        return self.chance.choice(list(self.closed))

    def _content(self) -> bytes:
        size = self.chance.choice((0, 10, 500, 5 * KIB, 40 * KIB, 40 * KIB, self.chance.choice((64 * KIB, 2 * MIB))))
        return self.chance.randbytes(size)

    def _write(self, path: str, content: bytes) -> None:
        (self.root / path).write_bytes(content)
        self.closed[path] = hashlib.sha256(content).hexdigest()

    def _create(self) -> None:
        self._number += 1
        folder = f"d{self.chance.randrange(12)}/e{self.chance.randrange(4)}"
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        self._write(f"{folder}/n{self._number}", self._content())

    def _rewrite(self) -> None:
        self._write(self._any(), self._content())

    def _append(self) -> None:
        path = self._any()
        with (self.root / path).open("ab") as stream:
            stream.write(self._content())
        self.closed[path] = hashlib.sha256((self.root / path).read_bytes()).hexdigest()

    def _replace(self) -> None:
        path = self._any()
        self._write(f"{path}.new", self._content())
        (self.root / f"{path}.new").rename(self.root / path)
        self.closed[path] = self.closed.pop(f"{path}.new")

    def _rename(self) -> None:
        path = self._any()
        self._number += 1
        new = f"{path.rpartition('/')[0]}/r{self._number}"
        (self.root / path).rename(self.root / new)
        self.closed[new] = self.closed.pop(path)

    def _delete(self) -> None:
        path = self._any()
        (self.root / path).unlink()
        del self.closed[path]

    def _rename_folder(self) -> None:
        old = self._any().partition("/")[0]
        self._number += 1
        new = f"m{self._number}"
        (self.root / old).rename(self.root / new)
        for path in [path for path in self.closed if path.startswith(old + "/")]:
            self.closed[new + path[len(old) :]] = self.closed.pop(path)

    def _delete_folder(self) -> None:
        old = self._any().partition("/")[0]
        shutil.rmtree(self.root / old)
        for path in [path for path in self.closed if path.startswith(old + "/")]:
            del self.closed[path]


def assert_off_site(site: HostileSite, closed: dict[str, str], vault: str = "records") -> None:
    """The newest full snapshot holds exactly these files with these hashes, and so does the disk."""
    wanted = {os.fsencode(path): digest for path, digest in closed.items()}
    assert site.on_disk(vault) == wanted
    newest = site.snapshots(vault=vault, kind="full")[-1]
    there = site.content(newest["id"], vault=vault)
    assert there == wanted, sorted(there.items() ^ wanted.items())[:6]


def wait_gone(processes: list[psutil.Process], what: str, seconds: float = 30) -> None:
    """Wait until these processes have ended."""
    until(lambda: not any(_lives(process) for process in processes), what, seconds)


def moment(chance: random.Random, most: float) -> None:
    """Let a random time pass: where in its work the daemon is then is what the test wants to be left to chance."""
    time.sleep(chance.uniform(0, most))


def busy_helper(pid: int, program: str, opens: str) -> psutil.Process:
    """The helper process of a daemon as soon as it has this file open."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in children_of(pid):
            with contextlib.suppress(OSError, psutil.Error):
                # The name first: between fork and exec a child has all files of the daemon open, and is no helper yet.
                if program not in psutil.Process(child).cmdline():
                    continue
                links = [os.readlink(f"/proc/{child}/fd/{name}") for name in os.listdir(f"/proc/{child}/fd")]
                if any(link.endswith(opens) for link in links):
                    return psutil.Process(child)
        time.sleep(0.002)
    raise AssertionError(f"{program} never had {opens} open")


def suspend_scan(site: Site) -> psutil.Process:
    """Stop the daemon's scan (SIGSTOP), but not in the middle of a transaction: all others would wait for it."""
    assert site.daemon is not None
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        scanner = busy_helper(site.daemon.pid, "vaultd.watch.scanner", "state.db")
        with contextlib.suppress(psutil.NoSuchProcess):
            scanner.suspend()
            try:
                with contextlib.closing(sqlite3.connect(database(site.state), timeout=1, isolation_level=None)) as db:
                    db.execute("BEGIN IMMEDIATE")
                    db.execute("ROLLBACK")
                return scanner
            except sqlite3.OperationalError:
                scanner.resume()
    raise AssertionError("the scan could not be stopped between two transactions")


def children_of(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
