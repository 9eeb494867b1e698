"""A target whose file system is full or read-only: told as such, nothing lost, and it goes on when that is mended."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faulting import MIB, FaultSite, fault_site
from tests.mounting import mounted, needs_mounts
from tests.site import until

pytestmark = needs_mounts


@pytest.fixture
def small(tmp_path: Path) -> Iterator[FaultSite]:
    """A site whose server keeps its files on a file system of 6 MiB; everything is protected, the daemon runs."""
    root = tmp_path / "offsite"
    root.mkdir()
    with mounted(root, "-t", "tmpfs", "-o", "size=6m", "tmpfs"), fault_site(tmp_path) as site:
        try:
            site.ready()
            site.start()
            site.wait_quiet()
            yield site
        finally:
            site.close()  # before the file system goes


def vault_of(site: FaultSite) -> Path:
    return Path(site.vaults["records"]["path"])


def remount(site: FaultSite, options: str) -> None:
    root = site.servers["offsite"].root
    subprocess.run(["mount", "-o", f"remount,{options}", str(root)], check=True)


def assert_told(site: FaultSite, code: str) -> None:
    site.wait_alert(code)
    assert site.at()["state"] == "blocked"
    assert site.owed() > 0
    answer = site.cli("backup")
    assert (answer.code, answer.error["code"]) == (1, code)


def test_a_target_that_is_full_says_so_keeps_the_old_and_goes_on_when_room_is_made(small: FaultSite) -> None:
    (vault_of(small) / "large").write_bytes(os.urandom(9 * MIB))
    assert_told(small, "target-full")
    held = small.snapshots(kind="full")[-1]["id"]
    assert len(small.content(held)) == 12, "what was there still comes back"
    remount(small, "size=64m")
    small.retry()
    small.assert_nothing_lost()


def test_a_target_without_a_single_byte_left_says_so_too(small: FaultSite) -> None:
    filler = small.servers["offsite"].root / "filler"
    with filler.open("wb") as stream, pytest.raises(OSError, match="No space left"):
        while True:
            os.write(stream.fileno(), bytes(4096))
    (vault_of(small) / "new").write_text("new")
    assert_told(small, "target-full")
    filler.unlink()
    small.retry()
    small.assert_nothing_lost()


@pytest.mark.parametrize("kind", ["mount", "server"])
def test_a_target_that_became_read_only_says_so_and_goes_on_when_it_is_mended(small: FaultSite, kind: str) -> None:
    server = small.servers["offsite"]

    def set_read_only(value: bool) -> None:
        if kind == "mount":
            server.cut()
            until(lambda: not server.sessions(), "nobody writes there")
            remount(small, "ro" if value else "rw")
            return
        server.stop()
        server.read_only = value
        server.start()

    set_read_only(True)
    (vault_of(small) / "new").write_text("new")
    assert_told(small, "target-read-only")
    set_read_only(False)
    small.retry()
    small.assert_nothing_lost()
