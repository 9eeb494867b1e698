"""An off-site server as config/offsite/README.md sets it up: a real sshd, an account, copies by another user.

Root only: two users are needed. Debian has both (``backup`` and ``games``); nothing of the machine is changed.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounting import mounted
from vaultd.demo.offsite import OffsiteServer

ACCOUNT, KEEPER = "backup", "games"
SCRIPT = Path(__file__).parent.parent / "config" / "offsite" / "vaultd-anchor"

needs_users = pytest.mark.skipif(os.geteuid() != 0, reason="needs root and other users")


class AccountServer(OffsiteServer):
    """A server whose clients are an account that is not ours."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.user = ACCOUNT

    def prepare(self) -> None:
        super().prepare()
        # sshd reads the keys as the account.
        for path in (self.root, self.files):
            path.chmod(0o755)
        self._authorized_keys.chmod(0o644)


def chown(path: Path, user: str, group: str | None = None, mode: int | None = None) -> None:
    shutil.chown(path, user, group or pwd.getpwnam(user).pw_gid)
    if mode is not None:
        path.chmod(mode)


class AnchorSite:
    """BASE with ``repo`` and ``.vaultd``, and the script run as the timer would."""

    def __init__(self, folder: Path, method: str) -> None:
        self.method = method
        self.base = folder / "base"
        self.inner = self.base / ".vaultd"
        self.checkpoints, self.kept, self.anchored = (self.inner / name for name in ("checkpoints", "kept", "anchored"))
        self.script = folder / "vaultd-anchor"  # where the other user can read it
        shutil.copy(SCRIPT, self.script)
        self.script.chmod(0o755)
        self._lock = threading.Lock()
        self._timer: threading.Thread | None = None
        self._ended = threading.Event()

    def make(self) -> None:
        """What README.md says."""
        for path in (self.base, self.inner):
            path.mkdir(exist_ok=True)
            chown(path, "root", mode=0o755)
        (self.base / "repo").mkdir()
        chown(self.base / "repo", ACCOUNT, mode=0o700)
        self.checkpoints.mkdir()
        chown(self.checkpoints, ACCOUNT, KEEPER, mode=0o2750)
        if self.method == "btrfs":
            subprocess.run(["btrfs", "-q", "subvolume", "create", self.kept], check=True)
        else:
            self.kept.mkdir()
        self.anchored.mkdir()
        chown(self.kept, KEEPER, mode=0o755)
        chown(self.anchored, "root" if self.method == "btrfs" else KEEPER, mode=0o755)

    def run(self) -> str:
        """One run of the service; what it said."""
        with self._lock:
            done = self._call(KEEPER, "collect")
            return done + self._call("root" if self.method == "btrfs" else KEEPER, "freeze", self.method)

    def _call(self, user: str, *words: str) -> str:
        entry = pwd.getpwnam(user)
        done = subprocess.run(
            [self.script, *words, self.base], user=entry.pw_uid, group=entry.pw_gid, extra_groups=[], cwd="/",
            capture_output=True, text=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    @contextlib.contextmanager
    def timer(self) -> Iterator[None]:
        """Run it again and again, as the timer does, but faster."""
        self._ended.clear()
        faults = list[BaseException]()

        def turn() -> None:
            try:
                while not self._ended.wait(0.2):
                    self.run()
            except BaseException as error:  # noqa: BLE001 - told to the test
                faults.append(error)

        thread = threading.Thread(target=turn)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
        if faults:
            raise faults[0]

    def generations(self) -> list[Path]:
        return sorted(path for path in self.anchored.iterdir() if not path.name.startswith("."))


@contextlib.contextmanager
def anchor_site(method: str) -> Iterator[AnchorSite]:
    """Such a place, on btrfs in a file where that is asked for; gone at the end."""
    # Not below /tmp: everybody can make names there, so nothing in it is out of the reach of anybody.
    folder = Path(tempfile.mkdtemp(prefix="vaultd-anchor-", dir="/srv"))
    folder.chmod(0o755)
    try:
        with contextlib.ExitStack() as stack:
            site = AnchorSite(folder, method)
            site.base.mkdir()
            if method == "btrfs":
                stack.enter_context(_btrfs(folder / "image", site.base))
            site.make()
            yield site
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _btrfs(image: Path, at: Path) -> Iterator[None]:
    with image.open("wb") as stream:
        stream.truncate(128 * 1024 * 1024)
    done = subprocess.run(["mkfs.btrfs", "-q", str(image)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mkfs.btrfs: {done.stderr.strip()}")
    with mounted(at, "-o", "loop", str(image)):
        yield
