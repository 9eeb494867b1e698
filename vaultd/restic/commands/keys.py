"""A repository's keys: passwords that open the same master key, each with an id of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from vaultd.i18n import _
from vaultd.restic.commands.common import WAIT_FOR_LOCK, collect, collect_json
from vaultd.restic.process import Repository


@dataclass(frozen=True, slots=True)
class Key:
    """``current``: the one that our password opens. ``id`` may be the beginning of the id: restic lists it short."""

    id: str
    current: bool
    username: str
    hostname: str


async def list_keys(repository: Repository) -> list[Key]:
    """The keys of a repository."""
    found = await collect_json(repository, ["--no-lock", "key", "list", "--json"], _("the keys cannot be listed"))
    return [
        Key(str(one["id"]), bool(one.get("current")), str(one.get("userName", "")), str(one.get("hostName", "")))
        for one in found
    ]


async def add_key(repository: Repository, password_file: Path, username: str, hostname: str) -> str:
    """Give a repository one more password. The new key's id, which restic lists short: the new password opens it."""
    args = ["key", "add", "--new-password-file", str(password_file.absolute()), "--user", username, "--host", hostname]
    await collect(repository, [*WAIT_FOR_LOCK, *args], _("the repository gets no other key"))
    listed = await list_keys(replace(repository, password_file=password_file, key_hint=None))
    return next(one.id for one in listed if one.current)


async def remove_key(repository: Repository, identifier: str) -> bool:
    """Take a key away; False when it is gone already. restic refuses the one that our own password opens."""
    if not any(identifier.startswith(one.id) for one in await list_keys(repository)):
        return False
    what = _("key {id} cannot be removed").format(id=identifier[:8])
    await collect(repository, [*WAIT_FOR_LOCK, "key", "remove", identifier], what)
    return True
