"""What restic 0.18 does when something is taken out: the facts that vaultd/restic/commands/remove.py tells."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from vaultd.errors import ConfigError
from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.restic import commands
from vaultd.restic.process import Repository
from vaultd.restic.tags import new_change_set, tags_of

GBK = "病案".encode("gbk")
NAMES = [b"plain", b"$HOME and $$", b"ends with blank ", b"st[ar]*?", GBK, b"back\\slash", b"#hash", b"!bang"]


def backup(repository: Repository, root: Path, order: int) -> str:
    tags = tags_of("records", SnapshotKind.FULL, new_change_set(order), bytes(root))
    made = asyncio.run(commands.backup(repository, roots=[bytes(root)], host="ward", tags=tags))
    assert made.snapshot_id
    return made.snapshot_id


def listed(repository: Repository) -> dict[str, StoredSnapshot]:
    return {one.id: one for one in asyncio.run(commands.snapshots(repository))}


def names(repository: Repository, snapshot: StoredSnapshot) -> set[bytes]:
    """The names in the vault's folder, every byte of them."""
    found = asyncio.run(commands.cat_tree(repository, f"{snapshot.id}:{os.fsdecode(snapshot.root)}"))
    return set(found)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "vault"
    root.mkdir()
    for name in [*NAMES, b"stays", b"plain too", b"starx?"]:
        (root / os.fsdecode(name)).write_bytes(b"content of " + name)
    return root


def test_rewritten_are_those_alone_that_hold_a_path_and_the_old_ones_stay(
    restic_repo: Repository, root: Path, tmp_path: Path
) -> None:
    first = backup(restic_repo, root, 1)
    paths = [os.path.join(bytes(root), name) for name in NAMES]
    for path in paths:
        os.unlink(path)
    second = backup(restic_repo, root, 2)
    before = listed(restic_repo)
    dry = asyncio.run(commands.rewrite(restic_repo, [first, second], paths, tmp_path / "lists", dry=True))
    assert dry == 1 and listed(restic_repo) == before
    assert asyncio.run(commands.rewrite(restic_repo, [first, second], paths, tmp_path / "lists")) == 1
    assert list((tmp_path / "lists").iterdir()) == []
    after = listed(restic_repo)
    (new,) = after.keys() - before.keys()
    assert after[second] == before[second] and after[first] == before[first]
    made, old = after[new], after[first]
    assert made.original == first and old.original == ""
    assert (made.change_set, made.time, made.host, made.root) == (old.change_set, old.time, old.host, old.root)
    assert made.files == 3 and old.files == 3 + len(NAMES)  # its summary counts anew
    assert names(restic_repo, made) == {b"stays", b"plain too", b"starx?"}
    # Run again it makes another copy, and the copy itself has nothing to take out.
    assert asyncio.run(commands.rewrite(restic_repo, list(after), paths, tmp_path / "lists")) == 1
    assert len(listed(restic_repo)) == 4


def test_a_name_with_a_line_end_is_refused(restic_repo: Repository, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        asyncio.run(commands.rewrite(restic_repo, ["0" * 64], [b"/srv/new\nline"], tmp_path / "lists"))


def test_forgetting_what_is_not_there_is_no_error(restic_repo: Repository, root: Path) -> None:
    first = backup(restic_repo, root, 1)
    asyncio.run(commands.forget_all(restic_repo, ["0" * 64, first]))
    assert listed(restic_repo) == {}


def test_prune_clears_away_all_that_nothing_needs(restic_repo: Repository, root: Path) -> None:
    packs = Path(restic_repo.url) / "data"
    first = backup(restic_repo, root, 1)
    (root / "stays").unlink()
    backup(restic_repo, root, 2)
    asyncio.run(commands.forget_all(restic_repo, [first]))
    before = sum(path.stat().st_size for path in packs.rglob("*") if path.is_file())
    asyncio.run(commands.prune(restic_repo, everything=True))
    after = sum(path.stat().st_size for path in packs.rglob("*") if path.is_file())
    assert after < before
    assert asyncio.run(commands.check(restic_repo, everything=True)).good


@pytest.mark.parametrize("how", ["gone", "short", "flipped"])
def test_check_names_the_packs_that_are_damaged(restic_repo: Repository, root: Path, how: str) -> None:
    (root / "large").write_bytes(os.urandom(600_000))
    backup(restic_repo, root, 1)
    assert asyncio.run(commands.check(restic_repo, subset="2%")).good
    pack = max((Path(restic_repo.url) / "data").rglob("*"), key=lambda path: path.is_file() and path.stat().st_size)
    pack.chmod(0o600)
    if how == "gone":
        pack.unlink()
    else:
        content = bytearray(pack.read_bytes())
        content[1000] ^= 1
        pack.write_bytes(content if how == "flipped" else content[:1000])
    found = asyncio.run(commands.check(restic_repo, everything=True))
    assert not found.good and (found.gone if how == "gone" else found.broken) == (pack.name,)
