"""Many express snapshots read together bring the same as restic brings one by one, and restic has the last word."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.restoring import ROOT, Stored, hard_to_restore, write
from tests.test_restore_faults import repository_at
from vaultd.demo.offsite import OffsiteServer
from vaultd.errors import VaultdError
from vaultd.restic import blobs, contents
from vaultd.restic.blobs import DamagedError
from vaultd.restic.fetch import Local
from vaultd.restic.process import Repository
from vaultd.restore import newest, together
from vaultd.restore.compare import compare
from vaultd.restore.result import Outcome, Result
from vaultd.restore.run import Restore
from vaultd.restore.together import Prepared, Together


@pytest.fixture(autouse=True)
def all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a single one is worth it here."""
    monkeypatch.setattr(together, "LEAST", 1)


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Which snapshots were read together: the first, and how many."""
    found: list[tuple[int, int]] = []
    real = Together.prepare

    async def noted(self: Together, *args: Any) -> Prepared | None:
        one = await real(self, *args)
        if one is not None:
            found.append((one.first, one.count))
        return one

    monkeypatch.setattr(Together, "prepare", noted)
    return found


def by_restic(stored: Stored, to: Path) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(together, "LEAST", 1000)
        return stored.restore(to)


def told(result: Result) -> dict[str, Any]:
    """What both ways have to tell alike: all but where and how much was fetched."""
    found = result.as_json()
    for name in ("to", "files", "bytes", "seconds", "bytes_free", "resumed"):
        del found[name]
    return found


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    """A full snapshot, then everything that is hard to bring back as an express one, and some more."""
    found = Stored(tmp_path / "s")
    write(found.root / "old", "of the full one")
    found.full()
    hard_to_restore(found.root)
    found.batch(*sorted(one.name for one in found.root.iterdir() if one.name not in ("device", "fifo")))
    found.express("fifo", *(["device"] if ROOT else []))
    for number in range(3):
        write(found.root / "changing", f"{number}")
        os.utime(found.root, ns=(1_075_781_106_111111111, 1_075_781_106_111111111))
        found.express("changing", "plain.txt", "hard")
    return found


def test_it_brings_what_restic_brings(stored: Stored, tmp_path: Path, prepared: list[tuple[int, int]]) -> None:
    expected = by_restic(stored, tmp_path / "by restic")
    result = stored.restore(tmp_path / "together")
    assert prepared == [(1, 1), (3, 3)]  # only restic makes FIFOs and devices
    assert [str(one) for one in compare(tmp_path / "by restic", tmp_path / "together")] == []
    assert told(result) == told(expected) and result.outcome is Outcome.DONE
    assert os.stat(tmp_path / "together" / "sparse").st_blocks * 512 < 4_000_000


class Busy:
    """Changes a folder at random, the same way each time: new files and folders, other content, links, kinds."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.dice = root, random.Random(seed)

    def change(self) -> list[str]:
        """Change something; the files for an express snapshot."""
        changed = set[Path]()
        for _step in range(4):
            path = self.root / self.dice.choice("abc") / self.dice.choice("abc") / self.dice.choice("abcd")
            if self.dice.random() < 0.3:
                path = path.parent
            self._clear(path)
            getattr(self, self.dice.choice(("file", "file", "file", "link", "symlink")))(path)
            changed.add(path)
            changed = {one for one in changed if os.path.lexists(one) and not os.path.isdir(one)}
        return [str(one.relative_to(self.root)) for one in sorted(changed)]

    def _clear(self, path: Path) -> None:
        above = path.parent
        while above != self.root:
            if os.path.lexists(above) and (above.is_symlink() or not above.is_dir()):
                above.unlink()
            above = above.parent
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)

    def file(self, path: Path) -> None:
        path.write_bytes(self.dice.randbytes(self.dice.choice((0, 10, 100_000))))
        os.chmod(path, self.dice.choice((0o600, 0o644)))

    def link(self, path: Path) -> None:
        others = [one for one in sorted(self.root.rglob("*")) if one.is_file() and not one.is_symlink()]
        if others:
            os.link(self.dice.choice(others), path)

    def symlink(self, path: Path) -> None:
        os.symlink(self.dice.choice(("a", "../b", "/nowhere")), path)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 20))])
def test_at_random_it_does_and_tells_what_one_by_one_does(
    tmp_path: Path, prepared: list[tuple[int, int]], seed: int
) -> None:
    stored = Stored(tmp_path / "s")
    busy = Busy(stored.root, seed)
    for _turn in range(6):
        busy.change()
    stored.full()
    count = 0
    for _turn in range(8):
        if changed := busy.change():
            stored.express(*changed)
            count += 1
    expected = by_restic(stored, tmp_path / "by restic")
    result = stored.restore(tmp_path / "together")
    assert prepared == [(1, count)]
    assert [str(one) for one in compare(tmp_path / "by restic", tmp_path / "together")] == []
    assert told(result) == told(expected)


def packs_of(stored: Stored, store: Callable[[], object]) -> list[Path]:
    """The packs that a backup makes."""
    before = set((stored.path / "data").glob("*/*"))
    store()
    return sorted(set((stored.path / "data").glob("*/*")) - before)


@dataclass(frozen=True)
class Five:
    """A full snapshot and five express ones, and the packs of each of these; one new file is in all of them."""

    stored: Stored
    packs: list[list[Path]]
    by_restic: dict[str, Any]

    def restore(self, to: Path, repository: Repository | None = None) -> Result:
        """Restore from it, or from a copy."""
        return asyncio.run(Restore(repository or self.stored.repository, self.stored.plan(), to).run())


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Five:
    """Made once: nobody changes it."""
    folder = tmp_path_factory.mktemp("five")
    stored = Stored(folder / "s")
    for number in range(5):
        write(stored.root / f"{number}", "old")
    stored.full()
    packs = []
    for number in range(5):
        write(stored.root / f"{number}", random.Random(number).randbytes(20_000))
        write(stored.root / "#all", f"of {number}")
        packs.append(packs_of(stored, lambda number=number: stored.express(f"{number}", "#all")))
    return Five(stored, packs, told(by_restic(stored, folder / "by restic")))


@pytest.mark.parametrize("damage", ["content", "list", "gone"])
def test_what_is_damaged_is_left_to_restic_alone(
    five: Five, tmp_path: Path, prepared: list[tuple[int, int]], damage: str
) -> None:
    copy = replace(five.stored.repository, url=str(tmp_path / "copy"), cache=tmp_path / "cache")
    shutil.copytree(five.stored.path, copy.url)
    lists, content = sorted(five.packs[2], key=lambda path: path.stat().st_size)
    path = Path(copy.url) / (lists if damage == "list" else content).relative_to(five.stored.path)
    os.chmod(path, 0o600)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(b"\0" * path.stat().st_size)

    def end(to: Path) -> object:
        try:
            return told(five.restore(to, copy))
        except VaultdError as error:
            return str(error)

    found = end(tmp_path / "together")
    assert prepared == ([(1, 2)] if damage == "list" else [(1, 2), (4, 2)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(together, "LEAST", 1000)
        assert found == end(tmp_path / "by restic")
    if damage != "list":
        assert isinstance(found, dict) and found["outcome"] == "partial"
        assert {one["path"] for one in found["problems"]["listed"]} >= {"2"}
        assert (tmp_path / "together" / "4").read_bytes() == (five.stored.root / "4").read_bytes()


@pytest.mark.parametrize(
    "odd", [{"group": (1, 1)}, {"size": 7}, {"content": bytes(32)}], ids=["same file, other content", "size", "nowhere"]
)
def test_a_list_that_does_not_agree_with_what_is_stored_is_left_to_restic(
    five: Five, tmp_path: Path, prepared: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch, odd: dict[str, Any],
) -> None:  # fmt: skip
    """As it seems to us: restic sees it as it is, and brings it right."""
    real = contents._node
    files = (b"4", b"#all") if "group" in odd else (b"4",)

    def seen(found: dict[str, Any]) -> contents.Node:
        node = real(found)
        return node._replace(**odd) if node.name in files else node

    monkeypatch.setattr(contents, "_node", seen)
    assert five.restore(tmp_path / "to").outcome is Outcome.DONE
    assert [str(one) for one in compare(five.stored.root, tmp_path / "to")] == []
    assert prepared == [(1, 4)]


def test_a_damaged_index_is_passed_by(five: Five, tmp_path: Path) -> None:
    """What another index file tells of is found all the same."""
    key = asyncio.run(blobs.master_key(five.stored.repository))
    shutil.copytree(five.stored.path, tmp_path / "copy")
    (tmp_path / "copy" / "index" / ("0" * 64)).write_bytes(b"x")
    opener, stop = blobs.Opener(key), threading.Event()
    with closing(contents.Contents(Local(tmp_path / "copy"), opener, stop)) as found:
        assert found.tree(bytes.fromhex(five.stored.listed()[-1].tree))
        with pytest.raises(DamagedError):
            found.tree(bytes(32))


@pytest.mark.parametrize(("name", "value"), [("SMALL_PACK", 1000), ("KEPT", 1000)])
def test_folders_in_large_packs_are_fetched_by_themselves(
    five: Five, tmp_path: Path, prepared: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    """And what is not kept is fetched again."""
    monkeypatch.setattr(contents, name, value)
    assert told(five.restore(tmp_path / "to")) == five.by_restic
    assert prepared == [(1, 5)]


class Stop(BaseException):
    """As a Ctrl-C would."""


@pytest.mark.parametrize(("module", "name", "at"), [(newest, "_write_all", 3), (os, "rename", 3), (os, "rename", 5)])
def test_one_that_was_stopped_goes_on_and_ends_the_same(
    five: Five, tmp_path: Path, module: Any, name: str, at: int
) -> None:
    """While the stage is written, and while it is put in place."""
    real, calls = getattr(module, name), []

    def failing(*args: Any) -> Any:
        if module is newest or isinstance(args[0], bytes):
            calls.append(args)
            if len(calls) == at:
                raise Stop
        return real(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, failing)
        with pytest.raises(Stop):
            five.restore(tmp_path / "to")
    result = five.restore(tmp_path / "to")
    assert result.resumed and told(result) == five.by_restic
    assert [str(one) for one in compare(five.stored.root, tmp_path / "to")] == []


def test_a_full_disk_is_told_and_the_restore_goes_on(
    five: Five, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def full(*_args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(newest, "_write_all", full)
        with pytest.raises(VaultdError, match="No space left"):
            five.restore(tmp_path / "to")
    assert five.restore(tmp_path / "to").outcome is Outcome.DONE
    assert [str(one) for one in compare(five.stored.root, tmp_path / "to")] == []


def test_over_the_line_and_after_it_broke(
    five: Five,
    tmp_path: Path,
    prepared: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with OffsiteServer(tmp_path / "offsite") as server:
        shutil.copytree(five.stored.path, server.root / "repository")
        repository = repository_at(server, five.stored, tmp_path)
        real, cut = contents.Contents.tree, []

        def cutting(self: contents.Contents, tree: bytes) -> Any:
            if not cut:
                cut.append(server.cut())
            return real(self, tree)

        monkeypatch.setattr(contents.Contents, "tree", cutting)
        notes: list[str] = []
        restore = Restore(repository, five.stored.plan(), tmp_path / "to", delays=(0.1,), on_note=notes.append)
        result = asyncio.run(restore.run())
    assert cut and len(notes) == 1 and prepared == [(1, 5)]
    assert result.outcome is Outcome.DONE
    assert [str(one) for one in compare(five.stored.root, tmp_path / "to")] == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\x00b"])
def test_a_list_with_a_name_that_leads_elsewhere_is_damaged(name: str) -> None:
    node = {"name": name, "type": "file", "mtime": "2026-11-22T00:00:00Z"}
    with pytest.raises(DamagedError):
        contents._nodes({"nodes": [node]})
    good = {"name": "good", "type": "file", "mtime": "2026-11-22T00:00:00Z"}
    assert [one.name for one in contents._nodes({"nodes": [good]})] == [b"good"]
    with pytest.raises(DamagedError):
        contents._nodes({"nodes": [good, good]})


def test_a_link_in_the_way_is_never_followed(tmp_path: Path, prepared: list[tuple[int, int]]) -> None:
    stored = Stored(tmp_path / "s")
    outside = tmp_path / "outside"
    outside.mkdir()
    write(outside / "file", "mine")
    os.symlink(outside, stored.root / "folder")
    os.symlink(outside / "file", stored.root / "name")
    stored.full()
    os.unlink(stored.root / "folder")
    os.unlink(stored.root / "name")
    write(stored.root / "folder" / "file", "new")
    write(stored.root / "name", "new")
    stored.express("folder/file", "name")
    stored.restore(tmp_path / "to")
    assert prepared == [(1, 1)]
    assert (outside / "file").read_text() == "mine" and os.listdir(outside) == ["file"]
    assert (tmp_path / "to" / "name").read_text() == "new" and not (tmp_path / "to" / "name").is_symlink()
    assert (tmp_path / "to" / "folder").is_symlink()
