"""Commands that only read: what is in a repository. None takes a lock, so they work on a read-only target too."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from vaultd.errors import ResticError
from vaultd.i18n import _
from vaultd.model import StoredSnapshot, signed
from vaultd.restic import tags as tag_module
from vaultd.restic.commands.common import READ_STALL, collect, collect_json, nanoseconds
from vaultd.restic.exit import error_of
from vaultd.restic.process import Repository, run

_QUOTED = re.compile(rb"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)", re.DOTALL)
_SIMPLE = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


@dataclass(frozen=True, slots=True)
class Node:
    """One entry of a snapshot, as ``restic ls`` shows it. ``path`` has U+FFFD for bytes that are not UTF-8. ``type`` is
    restic's: file, dir, symlink, dev, chardev, fifo, socket, irregular. Times are nanoseconds since 1970; ``mode`` has
    the permission bits, with setuid, setgid and sticky; ``inode`` has a sign, as in ``Stat``."""

    path: str
    type: str
    size: int
    mtime: int
    ctime: int
    inode: int
    mode: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock in the repository. ``time`` is nanoseconds since 1970, by the clock of ``hostname``."""

    id: str
    time: int
    exclusive: bool
    hostname: str
    pid: int
    username: str


@dataclass(frozen=True, slots=True)
class Stats:
    """Sizes of a repository in bytes: as stored, and before compression."""

    stored: int
    uncompressed: int
    snapshots: int


async def repository_id(repository: Repository) -> str:
    """The id in the repository's config: 64 hex digits, never the same twice."""
    what = _("the repository cannot be opened")
    found = await collect_json(repository, ["--no-lock", "cat", "config", "--json"], what)
    if not isinstance(found, dict) or not isinstance(found.get("id"), str):
        raise ResticError(what, _("its config names no id"))
    return str(found["id"])


async def key_id(repository: Repository) -> str | None:
    """The id of the key that the password opens, for ``Repository.key_hint``."""
    found = await collect_json(repository, ["--no-lock", "key", "list", "--json"], _("the keys cannot be listed"))
    return next((str(key["id"]) for key in found if key.get("current")), None)


async def snapshots(repository: Repository, tags: Sequence[str] = ()) -> list[StoredSnapshot]:
    """The snapshots that vaultd made and that have all of ``tags``, oldest first by vaultd's own order."""
    wanted = ",".join([tag_module.MINE, *tags])
    args = ["--no-lock", "snapshots", "--json", "--tag", wanted]
    listed = await collect_json(repository, args, _("the snapshots cannot be listed"))
    found = [snapshot for entry in listed or [] if (snapshot := _stored(entry)) is not None]
    return sorted(found, key=lambda snapshot: (snapshot.order, snapshot.time, snapshot.id))


async def withdrawn(repository: Repository, vault: str, host: str) -> list[str]:
    """The ids of a vault's snapshots whose word was taken back (``tags.withdrawn_tags``)."""
    return await ids_tagged(repository, [tag_module.MINE, f"vault={vault}", "kind=withdrawn"], host=host)


async def ids_tagged(repository: Repository, tags: Sequence[str], *, host: str) -> list[str]:
    """The ids of a host's snapshots that carry all of these tags, whatever else they are."""
    args = ["--no-lock", "snapshots", "--json", "--tag", ",".join(tags), "--host", host]
    listed = await collect_json(repository, args, _("the snapshots cannot be listed"))
    return [str(entry["id"]) for entry in listed or ()]


async def count_tagged(repository: Repository, tags: Sequence[str]) -> int:
    """How many snapshots carry all of these tags, whatever else they are."""
    args = ["--no-lock", "snapshots", "--json", "--tag", ",".join(tags)]
    return len(await collect_json(repository, args, _("the snapshots cannot be listed")) or ())


def _stored(entry: dict[str, Any]) -> StoredSnapshot | None:
    tags = tag_module.parse(entry.get("tags") or [])
    if tags is None:
        return None
    summary = entry.get("summary") or {}
    return StoredSnapshot(
        id=entry["id"],
        order=tags.order,
        vault=tags.vault,
        kind=tags.kind,
        change_set=tags.change_set,
        time=nanoseconds(entry["time"]),
        host=entry.get("hostname", ""),
        root=tags.root,
        tree=entry["tree"],
        files=summary.get("total_files_processed", 0),
        bytes=summary.get("total_bytes_processed", 0),
        dump_of=tags.dump_of,
        dump_name=tags.dump,
        original=entry.get("original") or "",
    )


async def ls(
    repository: Repository, snapshot: str, path: bytes = b"", *, recursive: bool = True
) -> AsyncIterator[Node]:
    """The entries of a snapshot, depth first; with ``path`` (absolute) that folder and what lies in it.

    A path that is not in the snapshot gives no entries.
    """
    args: list[str | bytes] = ["--no-lock", "ls", "--json", *(["--recursive"] if recursive and path else []), snapshot]
    if path:
        args += [path]
    queue: asyncio.Queue[Node | None] = asyncio.Queue()

    def on_line(line: bytes) -> None:
        entry = json.loads(line)
        if entry.get("message_type", entry.get("struct_type")) == "node":
            queue.put_nowait(_node(entry))

    async def listing() -> None:
        try:
            finished = await run(repository, args, on_line=on_line, stall=READ_STALL)
            error = error_of(finished, _("the snapshot cannot be listed"))
            if error is not None:
                raise error
        finally:
            queue.put_nowait(None)

    task = asyncio.create_task(listing())
    try:
        while (node := await queue.get()) is not None:
            yield node
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a snapshot: absolute path (as ``Node`` has it), size, and time in nanoseconds since 1970."""

    path: str
    size: int
    mtime: int


async def find_files(repository: Repository, ids: Sequence[str]) -> dict[str, list[Found]]:
    """Every file of these snapshots (whole ids), in one run of restic. For small ones: all of it is in memory."""
    args = ["--no-lock", "find", "--json", *(word for one in ids for word in ("--snapshot", one)), "*"]
    listed = await collect_json(repository, args, _("the snapshots cannot be listed"))
    found = dict[str, list[Found]]()
    for one in listed or ():
        found[str(one["snapshot"])] = [
            Found(node["path"], node.get("size", 0), nanoseconds(node["mtime"]))
            for node in one["matches"] if node["type"] == "file"
        ]  # fmt: skip
    return found


def _node(entry: dict[str, Any]) -> Node:
    mode = entry.get("mode", 0)  # Go's os.FileMode: its own bits for setuid, setgid and sticky
    special = (0o4000 if mode & 1 << 23 else 0) | (0o2000 if mode & 1 << 22 else 0) | (0o1000 if mode & 1 << 20 else 0)
    return Node(
        path=entry["path"],
        type=entry["type"],
        size=entry.get("size", 0),
        mtime=nanoseconds(entry["mtime"]),
        ctime=nanoseconds(entry["ctime"]),
        inode=signed(entry.get("inode", 0)),
        mode=(mode & 0o777) | special,
        uid=entry.get("uid", 0),
        gid=entry.get("gid", 0),
    )


async def cat_tree(repository: Repository, tree: str) -> dict[bytes, dict[str, Any]]:
    """The entries of one folder (by tree id, or ``<snapshot>:<folder>``) by their exact names, as restic keeps them:
    ``type, mode, mtime, ctime, inode, size, content`` (blob ids), ``subtree`` (tree id), ``linktarget`` ..."""
    kind = "tree" if ":" in tree else "blob"
    found = await collect_json(repository, ["--no-lock", "cat", kind, tree], _("a folder cannot be read"))
    return {unquoted(node["name"]): node for node in found["nodes"]}


def unquoted(name: str) -> bytes:
    """The bytes of a name in a tree: there restic writes them with Go's ``strconv.Quote``."""

    def one(match: re.Match[bytes]) -> bytes:
        code = match[1]
        if code[:1] == b"x" and len(code) == 3:
            return bytes([int(code[1:], 16)])
        if len(code) > 1:
            return chr(int(code[1:], 16)).encode("utf-8")
        return _SIMPLE.get(code, code)

    return _QUOTED.sub(one, name.encode("utf-8"))


async def list_locks(repository: Repository) -> list[Lock]:
    """The locks that are there now. The id is also the lock file's name, in ``locks/`` of the repository."""
    what = _("the locks cannot be listed")
    found = []
    for identifier in (await collect(repository, ["--no-lock", "list", "locks"], what)).decode("ascii").split():
        try:
            entry = await collect_json(repository, ["--no-lock", "cat", "lock", identifier], what)
        except ResticError:
            continue  # lifted in between
        found.append(
            Lock(
                identifier, nanoseconds(entry["time"]), bool(entry.get("exclusive")), entry.get("hostname", ""),
                int(entry.get("pid", 0)), entry.get("username", ""),
            )
        )  # fmt: skip
    return found


async def stats(repository: Repository) -> Stats:
    """How much the repository holds."""
    args = ["--no-lock", "stats", "--mode", "raw-data", "--json"]
    found = await collect_json(repository, args, _("the repository's size cannot be read"))
    return Stats(found.get("total_size", 0), found.get("total_uncompressed_size", 0), found.get("snapshots_count", 0))


async def lost_blobs(repository: Repository) -> set[str]:
    """The ids of what the index has in packs that the repository has not, unless another pack has it too."""
    what = _("the index cannot be read")
    there = set((await collect(repository, ["--no-lock", "list", "packs"], what)).decode("ascii").split())
    indexes = (await collect(repository, ["--no-lock", "list", "index"], what)).decode("ascii").split()
    lost = set[str]()
    for turn in ("gone", "elsewhere"):  # an index at a time: all of them may be larger than memory
        for index in indexes if turn == "gone" or lost else ():
            for pack in (await collect_json(repository, ["--no-lock", "cat", "index", index], what))["packs"]:
                ids = (blob["id"] for blob in pack["blobs"])
                if turn == "gone" and pack["id"] not in there:
                    lost.update(ids)
                elif turn == "elsewhere" and pack["id"] in there:
                    lost.difference_update(ids)
    return lost
