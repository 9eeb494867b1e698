"""What tests of files, folders and dumps share: a small site, restic with hooks around it, a restore by hand."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faulting import FaultSite
from tests.site import until
from vaultd.restore.compare import Entry, describe, differences
from vaultd.store import VersionRow

ROOT = os.geteuid() == 0
WITHOUT_PRIVILEGE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all") if ROOT else ()
"""A command prefix: may read only what modes and owners let it read, as every user but root."""

needs_user = pytest.mark.skipif(
    ROOT and shutil.which("setpriv") is None, reason="root reads everything: needs setpriv (util-linux)"
)


@contextlib.contextmanager
def bare_site(folder: Path, **vault: Any) -> Iterator[tuple[FaultSite, Path]]:
    """A site with the target "offsite" and the empty vault "records", ready; taken down whatever happens."""
    site = FaultSite(folder)
    try:
        site.add_target()
        site.add_vault(**vault)
        yield site, site.ready()
    finally:
        site.close()


def hooks(site: FaultSite, *, before: str = "", after: str = "") -> None:
    """Have vaultd run the real restic between two pieces of shell, in each ``backup`` and in nothing else.

    ``before`` runs when vaultd has looked at the files and hashes them; ``after`` when restic has read them, but vaultd
    does not know that yet.
    """
    real = shutil.which("restic")
    wrapper = site.folder / "restic-with-hooks"
    wrapper.write_text(
        f'#!/bin/sh\ncase " $* " in *" backup "*) ;; *) exec {real} "$@";; esac\n'
        f'{before or ":"}\n{real} "$@"\ncode=$?\n{after or ":"}\nexit $code\n'
    )
    wrapper.chmod(0o755)
    site.host["restic"] = str(wrapper)
    site.write()


def no_hooks(site: FaultSite) -> None:
    """restic alone again."""
    del site.host["restic"]
    site.write()


def versions(site: FaultSite, path: bytes | None = None, vault: str = "records") -> list[VersionRow]:
    """The versions on record of a path, or of all, oldest first."""
    with contextlib.closing(site.store()) as store:
        return list(store.versions(store.vault_id(vault), path))


def deletions(site: FaultSite) -> set[bytes]:
    """The paths that were recorded as deleted."""
    return {version.path for version in versions(site) if version.state == "deleted"}


def restored_by_hand(
    site: FaultSite, snapshot: str, vault: str = "records", *, long: bool = False
) -> dict[bytes, Entry]:
    """What ``restic restore`` alone makes of a vault in a snapshot.

    ``long``: the paths would be too long below another folder. restic then restores what is in the vault's folder, but
    not the metadata of that folder itself: it is left out.
    """
    root = Path(site.vaults[vault]["path"])
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as to:
        if not long:
            site.restic("restore", snapshot, "--target", to, "--quiet")
            return describe(Path(to) / root.relative_to("/"))
        site.restic("restore", f"{snapshot}:{root}", "--target", to, "--quiet")
        return {path: entry for path, entry in describe(Path(to)).items() if path}


def assert_exact(site: FaultSite, vault: str = "records", *, long: bool = False) -> None:
    """The newest full snapshot, restored by restic alone, is the vault as it is: content and all of its metadata."""
    newest = site.snapshots("offsite", vault, "full")[-1]
    expected = {path: entry for path, entry in describe(Path(site.vaults[vault]["path"])).items() if path or not long}
    found = restored_by_hand(site, newest["id"], vault, long=long)
    assert [str(one) for one in differences(expected, found)] == []


def stored_file(site: FaultSite, snapshot: str, path: Path | str) -> tuple[int, str]:
    """Size and SHA-256 of one file of a snapshot, by ``restic dump``, read as a stream."""
    found = site.repository()
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(site.folder), "RESTIC_REPOSITORY": found.url,
        "RESTIC_PASSWORD_FILE": str(found.password_file), "RESTIC_CACHE_DIR": str(site.folder / "hand-cache"),
    }  # fmt: skip
    digest, size = hashlib.sha256(), 0
    with subprocess.Popen(
        ["restic", *found.options, "dump", snapshot, str(path)], env=environment, stdout=subprocess.PIPE
    ) as process:  # fmt: skip
        assert process.stdout is not None
        while block := process.stdout.read(1 << 20):
            digest.update(block)
            size += len(block)
    assert process.returncode == 0
    return size, digest.hexdigest()


def next_full(site: FaultSite, known: int, what: str) -> None:
    """Wait until the daemon has made more full snapshots than ``known``, and owes nothing."""

    def made() -> bool:
        there = site.at()
        return there["owed"] == 0 and len(fulls(site)) > known

    until(made, f"a full snapshot after {what}: {site.log.read_text()[-1500:]}")


def fulls(site: FaultSite, vault: str = "records") -> list[str]:
    """The full snapshots on record, oldest first."""
    return [row.snapshot for row in site.snapshots_on_record() if row.kind == "full"]


@contextlib.contextmanager
def meanwhile(step: Callable[[int], None], pause: float = 0.0) -> Iterator[None]:
    """Do ``step(0)``, ``step(1)`` ... in a thread as long as the block runs."""
    end = threading.Event()

    def work() -> None:
        number = 0
        while not end.is_set():
            step(number)
            number += 1
            end.wait(pause)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(30)
