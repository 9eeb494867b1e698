"""Faults between [response], [[group]], [[duty]] and [[person]]: names that lead nowhere, and whom nobody can ring.

Works on the document as read, like ``crosscheck``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vaultd.config import playbooks
from vaultd.config.faults import Cross, Key, shown
from vaultd.config.response import LEVELS
from vaultd.i18n import _

Document = Mapping[str, Any]


def names_faults(document: Document) -> Iterator[Cross]:
    """Every name in these tables that no [[person]], [[group]], role or playbook has."""
    persons = {one["name"]: one for one in _tables(document, "person") if isinstance(one.get("name"), str)}
    groups = [one["name"] for one in _tables(document, "group") if isinstance(one.get("name"), str)]
    roles = [one["role"] for one in persons.values() if isinstance(one.get("role"), str) and one["role"]]
    yield from _groups(document, persons)
    for index, duty in enumerate(_tables(document, "duty")):
        if isinstance(duty.get("person"), str):
            yield from _known(("duty", index, "person"), duty["person"], persons)
        yield from _each(("duty", index, "then"), duty.get("then"), persons)
    response = document.get("response")
    if not isinstance(response, dict):
        return
    for level in LEVELS:
        policy = response.get(level)
        if not isinstance(policy, dict):
            continue
        yield from _each(("response", level, "notify"), policy.get("notify"), [*persons, *groups])
        yield from _each(("response", level, "ring"), policy.get("ring"), _with_telephone(persons))
        if policy.get("directed_by"):
            known = [*persons, *groups, *roles]
            yield from _known(("response", level, "directed_by"), policy["directed_by"], known)
        if policy.get("playbook"):
            folder = response.get("playbooks")
            known = playbooks.names(Path(folder) if isinstance(folder, str) else None)
            yield from _known(("response", level, "playbook"), policy["playbook"], known)


def _groups(document: Document, persons: Mapping[str, Any]) -> Iterator[Cross]:
    seen = set(persons)
    for index, group in enumerate(_tables(document, "group")):
        name = group.get("name")
        if isinstance(name, str):
            if name in seen:
                yield ("group", index, "name"), shown(name), _("a name that no other [[group]] and no [[person]] has")
            seen.add(name)
        yield from _each(("group", index, "members"), group.get("members"), persons)


def _with_telephone(persons: Mapping[str, Any]) -> list[str]:
    return [name for name, one in persons.items() if one.get("telephone")]


def _each(key: Key, names: Any, known: Any) -> Iterator[Cross]:
    for position, name in enumerate(names if isinstance(names, list) else ()):
        yield from _known((*key, position), name, known)


def _known(key: Key, name: Any, known: Any) -> Iterator[Cross]:
    if isinstance(name, str) and name.strip() and name not in known:
        names = ", ".join(dict.fromkeys(known)) or _("first a [[person]]")
        yield key, shown(name), _allowed(key).format(names=names)


def _allowed(key: Key) -> str:
    if "ring" in key:
        return _("a [[person]] with a telephone: {names}")
    if "notify" in key:
        return _("a [[person]] or a [[group]]: {names}")
    if "directed_by" in key:
        return _("a [[person]], their role, or a [[group]]: {names}")
    if "playbook" in key:
        return _("a playbook: {names}")
    return _("a [[person]]: {names}")


def _tables(document: Document, name: str) -> list[dict[str, Any]]:
    found = document.get(name)
    # what is no table keeps its place: keys count positions
    return [one if isinstance(one, dict) else {} for one in found] if isinstance(found, list) else []
