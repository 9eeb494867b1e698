"""The archives that restic streams, as our reader reads them: against tarfile, against Go's writer (restic's own), and
broken at every place."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.resticking import NAMES, fill, ready_repository
from vaultd.errors import ResticError
from vaultd.restic.process import Repository
from vaultd.verify import reader
from vaultd.verify.reader import BROKEN, END, FILE, HEAD, LINK, MARK, Record
from vaultd.verify.stream import Ended, read_file, read_folder


def archive(*members: tuple[bytes, bytes | None], form: int = tarfile.PAX_FORMAT) -> bytes:
    """An archive of these names and contents; None: a folder."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as tar:
        for name, content in members:
            info = tarfile.TarInfo(os.fsdecode(name))
            if content is None:
                info.type = tarfile.DIRTYPE
            info.size = len(content or b"")
            info.pax_headers = {"SCHILY.xattr.user.note": "x" * 700}
            tar.addfile(info, io.BytesIO(content or b""))
    return made.getvalue()


def read(content: bytes, form: str = "tar") -> list[Record]:
    """What the reading process says, marks left out."""
    command = [sys.executable, "-m", "vaultd.verify.reader", str(os.getpid()), form]
    raw = subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True).stdout
    found, at = [], 0
    while at < len(raw):
        kind, length, size, digest = HEAD.unpack_from(raw, at)
        at += HEAD.size + length
        found.append(Record(kind, raw[at - length : at], size, digest))
    return [one for one in found if one.kind != MARK]


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


MEMBERS = [
    (b"dir/", None), (b"dir/empty", b""), (b"dir/one", b"1"), (b"dir/block", bytes(512)), (b"dir/more", b"m" * 513),
    (b"n" * 150, b"long"), (b"p/" * 60 + b"q" * 90, b"with a prefix"), (b"a/" * 200 + b"z" * 250, b"longer still"),
    (b"\xff\xfe", b"not UTF-8"), ("病案".encode(), b"Chinese"), (b"new\nline", b"two"), (b"big", os.urandom(3 << 20)),
]  # fmt: skip


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_every_file_comes_with_its_name_size_and_hash(form: int) -> None:
    *files, end = read(archive(*MEMBERS, form=form))
    assert end.kind == END
    assert files == [
        Record(FILE, name, len(content), sha256(content)) for name, content in MEMBERS if content is not None
    ]


def test_links_and_devices_have_no_content() -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, kind in [("soft", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("fifo", tarfile.FIFOTYPE)]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "elsewhere"
            tar.addfile(info)
    assert [(one.kind, one.name) for one in read(made.getvalue())] == [(LINK, b"hard"), (END, b"")]


def test_wherever_an_archive_is_cut_it_is_broken_and_the_file_is_named() -> None:
    whole = archive((b"first", b"1" * 600), (b"second", b"2" * 600))
    content = whole.index(b"2" * 600)
    for cut in [0, 1, 511, 512, whole.index(b"1" * 600) + 5, content - 1, content, content + 599, content + 700]:
        *files, end = read(whole[:cut])
        assert end.kind == BROKEN, cut
        assert end.name == (b"second" if cut >= content else b"first" if b"1" * 5 in whole[:cut] and not files else b"")
        assert all(one.sha256 == sha256(b"1" * 600) for one in files)


@pytest.mark.parametrize("noise", [b"\xff" * 512, b"no archive" * 100, b"x" * 124 + b"99999999999\0" + b"x" * 2000])
def test_what_is_no_archive_is_broken(noise: bytes) -> None:
    assert [one.kind for one in read(noise)] == [BROKEN]


def test_sizes_that_octal_digits_cannot_say() -> None:
    size = 9 << 30
    head = tarfile.TarInfo("large")
    head.size = size
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        *_files, end = read(head.tobuf(form) + b"only the beginning")
        assert (end.kind, end.name) == (BROKEN, b"large")


def test_one_file_is_hashed_as_a_whole() -> None:
    content = os.urandom(2_500_000)
    assert read(content, "file") == [Record(FILE, b"", len(content), sha256(content)), Record(END, b"", 0, bytes(32))]


def test_the_reader_reads_what_restic_writes(tmp_path: Path) -> None:
    repository = ready_repository(tmp_path)
    root = fill(tmp_path / "vault")
    with open(root + b"/sparse", "wb") as stream:
        stream.truncate(5 << 20)
    snapshot = _backup(repository, root)
    found: list[Record] = []
    ended = asyncio.run(read_folder(repository, snapshot, root, found.extend, lambda _size: None, 60))
    assert ended == Ended()
    expected = {root.strip(b"/") + b"/" + name: sha256(name) for name in NAMES}
    expected[root.strip(b"/") + b"/sparse"] = sha256(bytes(5 << 20))
    assert {one.name.strip(b"/"): one.sha256 for one in found} == expected
    ended, one = asyncio.run(read_file(repository, snapshot, root + b"/" + NAMES[1], lambda _size: None, 60))
    assert one is not None and (ended, one.sha256) == (Ended(), sha256(NAMES[1]))
    ended, one = asyncio.run(read_file(repository, snapshot, root + b"/none", lambda _size: None, 60))
    assert one is None and isinstance(ended.error, ResticError)
    nothing = asyncio.run(read_folder(repository, "f" * 64, root, found.extend, lambda _size: None, 60))
    assert nothing.error is not None


@pytest.mark.soak
def test_a_sparse_file_of_more_than_four_gigabytes(tmp_path: Path) -> None:
    repository = ready_repository(tmp_path)
    (tmp_path / "vault").mkdir()
    with (tmp_path / "vault" / "huge").open("wb") as stream:
        stream.truncate((4 << 30) + 4097)
    root = os.fsencode(tmp_path / "vault")
    found: list[Record] = []
    snapshot = _backup(repository, root)
    assert asyncio.run(read_folder(repository, snapshot, root, found.extend, lambda _size: None, 60)) == Ended()
    whole = hashlib.sha256()
    for _mib in range(4 << 10):
        whole.update(bytes(1 << 20))
    whole.update(bytes(4097))
    assert [(one.size, one.sha256) for one in found] == [((4 << 30) + 4097, whole.digest())]


def test_a_reader_whose_parent_is_not_the_one_named_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vaultd.verify.reader", "1", "tar"]
    assert subprocess.run(command, input=b"", stdout=subprocess.PIPE).returncode == 1


def test_pax_records_with_wrong_lengths_are_refused() -> None:
    for said in (b"0 path=x\n", b"x path=x\n", b"7path=x\n", b"-3 a=b\n"):
        with pytest.raises(reader.BrokenStreamError):
            reader._pax(said)


def _backup(repository: Repository, root: bytes) -> str:
    from vaultd.restic import commands

    done = asyncio.run(commands.backup(repository, roots=[root], host="ward", tags=["test"]))
    assert done.snapshot_id is not None
    return done.snapshot_id
