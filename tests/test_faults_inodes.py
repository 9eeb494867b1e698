"""File systems that make up their inodes' numbers use all 64 bits of them; SQLite has 63 and a sign."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.filefaults import bare_site
from tests.mounting import needs_mounts, unmount


@contextlib.contextmanager
def pooled(folder: Path, vault: Path) -> Iterator[None]:
    """mergerfs over a folder, mounted on the vault: its inodes' numbers are hashes of 64 bits."""
    (folder / "branch").mkdir()
    options = "inodecalc=path-hash,use_ino,dropcacheonclose=false"
    done = subprocess.run(
        ["mergerfs", "-o", options, str(folder / "branch"), str(vault)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"mergerfs cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        unmount(vault)


@pytest.mark.root
@needs_mounts
def test_inodes_beyond_63_bits_are_protected_like_all_others(tmp_path: Path) -> None:
    with bare_site(tmp_path) as (site, vault), pooled(tmp_path, vault):
        for number in range(100):  # more than are hashed in a thread
            (vault / f"file {number}").write_text(f"content {number}")
        assert max(path.lstat().st_ino for path in vault.iterdir()) >= 1 << 63
        (outcome,) = site.backup(full=True)
        assert (outcome.error, outcome.unread, outcome.kind) == (None, (), "full")
        assert site.owed() == 0
        largest = max(vault.iterdir(), key=lambda path: path.lstat().st_ino)
        largest.write_text("changed")
        site.backup(full=True)
        site.assert_restorable()
        assert site.assert_hashes_true() == 101
