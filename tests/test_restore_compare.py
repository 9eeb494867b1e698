"""The comparison that all restore tests rest on sees every kind of difference."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.restoring import ROOT, write
from vaultd.restore.compare import Difference, compare, describe, differences


def fill(root: Path) -> None:
    write(root / "file", "content", mtime=10**18)
    write(root / "other", "content", mtime=10**18)
    (root / "folder").mkdir()
    os.link(root / "file", root / "linked")
    os.symlink("file", root / "symlink")
    for path in (root / "symlink", root / "folder", root):
        os.utime(path, ns=(10**18, 10**18), follow_symlinks=False)


def rewritten(root: Path) -> None:
    write(root / "other", "CONTENT", mtime=10**18)


def unlinked(root: Path) -> None:
    (root / "linked").unlink()
    write(root / "linked", "content", mtime=10**18)


def replaced(root: Path) -> None:
    (root / "folder").rmdir()
    write(root / "folder", "")


def retargeted(root: Path) -> None:
    (root / "symlink").unlink()
    os.symlink("gone", root / "symlink")
    os.utime(root / "symlink", ns=(10**18, 10**18), follow_symlinks=False)


CHANGES: list[tuple[Callable[[Path], object], set[tuple[bytes, str]]]] = [
    (lambda root: None, set()),
    (rewritten, {(b"other", "sha256")}),
    (unlinked, {(b"linked", "linked")}),
    (replaced, {(b"folder", "kind")}),
    (retargeted, {(b"symlink", "link_target")}),
    (lambda root: os.chmod(root / "folder", 0o700), {(b"folder", "mode")}),
    (lambda root: os.chmod(root, 0o700), {(b"", "mode")}),
    (lambda root: os.utime(root / "other", ns=(1, 10**18 + 1)), {(b"other", "mtime")}),
    (lambda root: os.setxattr(root / "folder", "user.note", b"x"), {(b"folder", "xattrs")}),
    (lambda root: os.unlink(root / "other"), {(b"other", "missing")}),
    (lambda root: write(root / "more", ""), {(b"more", "extra")}),
    (lambda root: os.mkfifo(root / "fifo"), {(b"fifo", "extra")}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "seen"), CHANGES, ids=range(len(CHANGES)))
def test_a_difference_is_seen_and_named(
    tmp_path: Path, change: Callable[[Path], object], seen: set[tuple[bytes, str]]
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        fill(tmp_path / name)
    change(tmp_path / "two")
    if (b"", "mode") not in seen:
        os.utime(tmp_path / "two", ns=(10**18, 10**18))
    found = compare(tmp_path / "one", tmp_path / "two")
    assert {(one.path, one.what) for one in found} == seen
    assert all(str(one) for one in found)


@pytest.mark.skipif(not ROOT, reason="needs root")
def test_owners_are_compared(tmp_path: Path) -> None:
    fill(tmp_path)
    before = describe(tmp_path)
    os.lchown(tmp_path / "symlink", 1, 2)
    assert differences(before, describe(tmp_path)) == [
        Difference(b"symlink", "uid", 0, 1), Difference(b"symlink", "gid", 0, 2)
    ]  # fmt: skip


def test_holes_are_told_but_do_not_count(tmp_path: Path) -> None:
    for name, sparse in (("one", False), ("two", True)):
        write(tmp_path / name / "file", b"" if sparse else bytes(1_000_000))
        os.truncate(tmp_path / name / "file", 1_000_000)
        for path in (tmp_path / name / "file", tmp_path / name):
            os.utime(path, ns=(1, 1))
    one, two = describe(tmp_path / "one"), describe(tmp_path / "two")
    assert two[b"file"].sparse and not one[b"file"].sparse
    assert differences(one, two) == []
    assert [found.what for found in differences(one, two, ignore=frozenset())] == ["sparse"]
