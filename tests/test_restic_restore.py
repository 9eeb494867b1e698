"""Content comes out of a snapshot exactly: whole, by name, as a stream; and what is not there is an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.resticking import GBK, NAMES, NEWLINE, fill, make_repository, ready_repository, run
from vaultd.errors import AuthenticationError, MissingRepositoryError, RepositoryError, VaultdError
from vaultd.names import replaced
from vaultd.restic import Repository, commands
from vaultd.restic.commands.look import Node, unquoted


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Repository, str, bytes]:
    repository = ready_repository(tmp_path / "r")
    root = fill(tmp_path / "vault")
    os.mkdir(root + b"/sub")
    with open(root + b"/sub/deep", "wb") as stream:
        stream.write(b"deep")
    os.chmod(root + b"/plain", 0o6751)
    result = run(commands.backup(repository, roots=[root], host="h"))
    assert result.snapshot_id
    return repository, result.snapshot_id, root


def test_whole_folder_comes_back(stored: tuple[Repository, str, bytes], tmp_path: Path) -> None:
    repository, snapshot, root = stored
    seen: list[tuple[int, int, int, int]] = []
    result = run(
        commands.restore(repository, snapshot, root, tmp_path / "out", on_progress=lambda *done: seen.append(done))
    )
    out = os.fsencode(tmp_path / "out")
    assert {*os.listdir(out)} == {*NAMES, b"sub"}
    for name in NAMES:
        with open(out + b"/" + name, "rb") as stream:
            assert stream.read() == name
    assert result.errors == [] and result.files_restored == result.files_total
    assert seen and seen[-1][2] == seen[-1][3] == result.bytes_total


@pytest.mark.parametrize("name", NAMES)
def test_include_takes_a_name_literally(stored: tuple[Repository, str, bytes], tmp_path: Path, name: bytes) -> None:
    repository, snapshot, root = stored
    run(commands.restore(repository, snapshot, root, tmp_path / "out", [name]))
    assert os.listdir(os.fsencode(tmp_path / "out")) == [name]


def test_include_of_a_folder_takes_what_is_below(stored: tuple[Repository, str, bytes], tmp_path: Path) -> None:
    repository, snapshot, root = stored
    run(commands.restore(repository, snapshot, root, tmp_path / "out", [b"sub"]))
    assert (tmp_path / "out/sub/deep").read_bytes() == b"deep"
    assert os.listdir(tmp_path / "out") == ["sub"]


def test_existing_file_is_kept_unless_told(stored: tuple[Repository, str, bytes], tmp_path: Path) -> None:
    repository, snapshot, root = stored
    (tmp_path / "out").mkdir()
    (tmp_path / "out/plain").write_bytes(b"mine")
    run(commands.restore(repository, snapshot, root, tmp_path / "out", [b"plain"]))
    assert (tmp_path / "out/plain").read_bytes() == b"mine"
    run(commands.restore(repository, snapshot, root, tmp_path / "out", [b"plain"], overwrite="always"))
    assert (tmp_path / "out/plain").read_bytes() == b"plain"


@pytest.mark.parametrize("name", [GBK, NEWLINE, b"[a]*?\\x", b"-dash"])
def test_dump_streams_what_is_stored(stored: tuple[Repository, str, bytes], name: bytes) -> None:
    repository, snapshot, root = stored
    chunks: list[bytes] = []
    run(commands.dump(repository, snapshot, root + b"/" + name, chunks.append))
    assert b"".join(chunks) == name


def test_dump_of_a_path_that_is_not_there_is_an_error(stored: tuple[Repository, str, bytes]) -> None:
    repository, snapshot, root = stored
    with pytest.raises(VaultdError):
        run(commands.dump(repository, snapshot, root + b"/nope", lambda _chunk: None))


def test_folder_that_is_not_in_the_snapshot_is_an_error(stored: tuple[Repository, str, bytes], tmp_path: Path) -> None:
    repository, snapshot, root = stored
    with pytest.raises(VaultdError):
        run(commands.restore(repository, snapshot, root + b"/nope", tmp_path / "out"))


def test_listing_has_the_files_stat(stored: tuple[Repository, str, bytes]) -> None:
    repository, snapshot, root = stored

    async def listing() -> dict[str, Node]:
        return {node.path: node async for node in commands.ls(repository, snapshot, root)}

    nodes = run(listing())
    for name in NAMES:
        path = root + b"/" + name
        found, node = os.lstat(path), nodes[replaced(path)]
        assert (node.size, node.mtime, node.ctime, node.inode) == (
            found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino,
        )  # fmt: skip
        assert node.mode == found.st_mode & 0o7777 and node.type == "file"
    assert nodes[replaced(root + b"/sub/deep")].size == 4
    assert nodes[replaced(root + b"/sub")].type == "dir"


def test_listing_can_be_left_early(stored: tuple[Repository, str, bytes]) -> None:
    repository, snapshot, _root = stored

    async def first() -> str:
        nodes = commands.ls(repository, snapshot)
        try:
            return (await anext(nodes)).path
        finally:
            await nodes.aclose()  # type: ignore[attr-defined]

    assert run(first()).startswith("/")


@pytest.mark.parametrize(
    ("quoted", "name"),
    [
        ("plain", b"plain"),
        ("a\\nb", b"a\nb"),
        ("\\xc4\\xe3", b"\xc4\xe3"),
        ('\\"\\\\', b'"\\'),
        ("é\\u200b", "é\u200b".encode()),
    ],
)
def test_quoted_names_of_trees_become_bytes(quoted: str, name: bytes) -> None:
    assert unquoted(quoted) == name


def test_repository_has_one_id_and_is_made_once(tmp_path: Path) -> None:
    repository = make_repository(tmp_path)
    made = run(commands.init(repository))
    assert run(commands.repository_id(repository)) == made and len(made) == 64
    assert run(commands.key_id(repository))
    with pytest.raises(RepositoryError):
        run(commands.init(repository))
    assert run(commands.repository_id(repository)) == made


def test_missing_repository_and_wrong_password_have_their_classes(tmp_path: Path) -> None:
    repository = make_repository(tmp_path)
    with pytest.raises(MissingRepositoryError):
        run(commands.repository_id(repository))
    run(commands.init(repository))
    repository.password_file.write_text("wrong")
    with pytest.raises(AuthenticationError) as raised:
        run(commands.snapshots(repository))
    assert "password_file" in raised.value.hint
    repository.password_file.unlink()
    with pytest.raises(AuthenticationError):
        run(commands.snapshots(repository))


def test_stats_and_repaired_index(stored: tuple[Repository, str, bytes]) -> None:
    repository, _snapshot, _root = stored
    before = run(commands.stats(repository))
    run(commands.repair_index(repository))
    assert run(commands.stats(repository)) == before and before.snapshots == 1 and before.stored > 0
