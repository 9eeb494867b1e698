"""Faults between the tables of a configuration: doubles, names that lead nowhere, folders inside one another.

Works on the document as read, so that a wrong type in one place does not hide a fault in another.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from vaultd.config.endpoint import DEFAULT_STATE
from vaultd.config.faults import Cross, Key, shown
from vaultd.config.responding import names_faults
from vaultd.i18n import _


def cross_faults(document: dict[str, Any]) -> list[Cross]:
    """All faults between tables, in no order."""
    vaults, targets = _tables(document, "vault"), _tables(document, "target")
    faults = [
        *_doubles("vault", vaults),
        *_doubles("target", targets),
        *_doubles("person", _tables(document, "person")),
    ]
    faults += _shared("user", _tables(document, "person"), _("an account that no other [[person]] has: {other} has it"))
    faults += _shared("ssh_key", _tables(document, "person"), _("a key that no other [[person]] has: {other} has it"))
    faults += _same_repository(targets)
    faults += _target_names(vaults, targets, document)
    for index, vault in vaults:
        dumps = [(i, dump) for i, dump in enumerate(_list(vault, "dump")) if isinstance(dump, dict)]
        faults += [(("vault", index, *key), found, allowed) for key, found, allowed in _doubles("dump", dumps)]
    ledger = document.get("ledger")
    for kind in ("witness", "timestamp"):
        tables = _tables(ledger, kind) if isinstance(ledger, dict) else []
        faults += [(("ledger", *key), found, allowed) for key, found, allowed in _doubles(kind, tables)]
    notify = document.get("notify")
    channels = _tables(notify, "channel") if isinstance(notify, dict) else []
    faults += [(("notify", *key), found, allowed) for key, found, allowed in _doubles("channel", channels)]
    faults += _ways(_tables(document, "person"), channels)
    faults += _nested(document, vaults)
    faults += names_faults(document)
    return faults


def _tables(document: dict[str, Any], name: str) -> list[tuple[int, dict[str, Any]]]:
    return [(index, table) for index, table in enumerate(_list(document, name)) if isinstance(table, dict)]


def _list(table: dict[str, Any], name: str) -> list[Any]:
    found = table.get(name)
    return found if isinstance(found, list) else []


def _doubles(kind: str, tables: list[tuple[int, dict[str, Any]]]) -> Iterator[Cross]:
    seen: set[str] = set()
    for index, table in tables:
        name = table.get("name")
        if isinstance(name, str):
            if name in seen:
                yield (
                    (kind, index, "name"),
                    shown(name),
                    _("a name that no other {table} has").format(table=f"[[{kind}]]"),
                )
            seen.add(name)


def _ways(
    persons: list[tuple[int, dict[str, Any]]], channels: list[tuple[int, dict[str, Any]]]
) -> Iterator[Cross]:  # fmt: skip
    known = {table["name"] for _index, table in channels if isinstance(table.get("name"), str)}
    names = ", ".join(sorted(known)) or _("first a [[notify.channel]]")
    for index, person in persons:
        for position, way in enumerate(_list(person, "notify")):
            if isinstance(way, str) and not way.startswith("/") and way not in known:
                allowed = _("the name of a channel ({names}), or an absolute path").format(names=names)
                yield ("person", index, "notify", position), shown(way), allowed


def _shared(key: str, persons: list[tuple[int, dict[str, Any]]], allowed: str) -> Iterator[Cross]:
    """Two persons with one account, or one key, would be one who approves what they have asked for."""
    seen: dict[str, Any] = {}
    for index, person in persons:
        value = person.get(key)
        if not isinstance(value, str) or not value:
            continue
        same = " ".join(value.split()[:2])  # of a key without its comment
        if same in seen:
            yield ("person", index, key), shown(value), allowed.format(other=shown(seen[same]))
        seen.setdefault(same, person.get("name", ""))


def _same_repository(targets: list[tuple[int, dict[str, Any]]]) -> Iterator[Cross]:
    """Two targets of one repository would be one place off-site that counts as two."""
    seen: dict[tuple[Any, ...], Any] = {}
    for index, target in targets:
        place = tuple(
            str(target.get(key, default)) for key, default in (("host", ""), ("port", 22), ("user", ""), ("path", ""))
        )
        if place in seen and target.get("path"):
            allowed = _("a repository that no other target has: {other} is the same").format(other=shown(seen[place]))
            yield ("target", index, "path"), shown(target["path"]), allowed
        seen.setdefault(place, target.get("name", ""))


def _target_names(
    vaults: list[tuple[int, dict[str, Any]]], targets: list[tuple[int, dict[str, Any]]], document: dict[str, Any]
) -> Iterator[Cross]:
    known = {table["name"]: index for index, table in targets if isinstance(table.get("name"), str)}
    names = ", ".join(sorted(known)) or _("first a [[target]]")
    used: set[str] = set()
    for index, vault in vaults:
        here: set[str] = set()
        for position, name in enumerate(_list(vault, "targets")):
            key: Key = ("vault", index, "targets", position)
            if not isinstance(name, str):
                continue
            if name not in known:
                yield key, shown(name), _("the name of a target: {names}").format(names=names)
            elif name in here:
                yield key, shown(name), _("each target once")
            here.add(name)
        used |= here
    if not targets and not isinstance(document.get("target"), (dict, str)):
        yield ("target",), _("no [[target]]"), _("at least one [[target]]: a place off-site")
    # Without a vault the file serves to restore on a new machine; a vault whose targets are no list may mean any.
    if not vaults or any(not isinstance(vault.get("targets"), list) for _index, vault in vaults):
        return
    for name, index in known.items():
        if name not in used:
            allowed = _("a target that at least one vault names in its targets")
            yield ("target", index, "name"), shown(name), allowed


def _nested(document: dict[str, Any], vaults: list[tuple[int, dict[str, Any]]]) -> Iterator[Cross]:
    """By the text of the paths; ``check_folders`` looks at the folders themselves."""
    folders: list[tuple[Key, str, str]] = []
    for index, vault in vaults:
        path = _normal(vault.get("path"))
        if path:
            folders.append((("vault", index, "path"), path, str(vault.get("name", index + 1))))
    yield from nested_folders(folders, _own_folders(document))


def nested_folders(folders: list[tuple[Key, str, str]], own: list[tuple[Key, str]]) -> Iterator[Cross]:
    """Vault folders (key, path, vault name) in one another, in vaultd's own folders, or around them."""
    for position, (key, path, name) in enumerate(folders):
        for _other_key, other, other_name in folders[:position]:
            if _inside(path, other) or _inside(other, path):
                allowed = _('a folder that is not the same as, inside or around vault "{name}" ({path})')
                yield key, shown(path), allowed.format(name=other_name, path=other)
        for own_key, folder in own:
            if _inside(path, folder):
                yield key, shown(path), _("a folder outside vaultd's own {path}").format(path=folder)
            elif _inside(folder, path):
                allowed = _('a folder outside vault "{name}" ({path}): vaultd would protect its own work for ever')
                yield own_key, shown(folder), allowed.format(name=name, path=path)


def _own_folders(document: dict[str, Any]) -> list[tuple[Key, str]]:
    host = document.get("host")
    host = host if isinstance(host, dict) else {}
    return own_folders(_normal(host.get("state", str(DEFAULT_STATE))), _normal(host.get("cache")))


def own_folders(state: str, cache: str) -> list[tuple[Key, str]]:
    """vaultd's own folders with their keys; a cache inside the state folder goes with it."""
    found: list[tuple[Key, str]] = [(("host", "state"), state)] if state else []
    if cache and not (state and _inside(cache, state)):
        found.append((("host", "cache"), cache))
    return found


def _normal(path: Any) -> str:
    return os.path.normpath("/" + path.lstrip("/")) if isinstance(path, str) and path.startswith("/") else ""


def _inside(path: str, folder: str) -> bool:
    """Whether a path is a folder or in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
