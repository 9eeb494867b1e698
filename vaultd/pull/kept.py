"""The last pull list as a file of the state folder: in an emergency it is printed, and nothing is probed.

The same object is what ``vaultd --json disks pull-list`` prints (docs/pull-list.md). Only the standard library, so that
it is there at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaultd import files, units
from vaultd.disks import form
from vaultd.errors import StateError
from vaultd.i18n import _
from vaultd.names import display
from vaultd.pull import words
from vaultd.pull.model import Do, Gone, Label, Need, Noticed, Procedure, Pull, PullList, Step, User, VaultLine

VERSION = 1
_NAME = "pull-list.json"
LIMIT = 64 << 20
"""Bytes; a file that is larger is none of ours."""


def file_in(state: Path) -> Path:
    """Where it is kept."""
    return state / _NAME


def write(state: Path, made: PullList) -> None:
    """Keep a list in place of the last one, mode 0600. Raises StateError."""
    file = file_in(state)
    try:
        files.replace(file, json.dumps(document(made), separators=(",", ":"), sort_keys=True).encode("ascii") + b"\n")
    except OSError as error:
        raise StateError(
            _("the pull list cannot be kept"), error.strerror or str(error), _("check the state folder's disk")
        ) from error  # fmt: skip


def read(state: Path) -> PullList | None:
    """The kept list, None when there is none. Raises StateError when it cannot be read, is damaged, or of a newer
    vaultd."""
    file = file_in(state)
    what = _("the kept pull list {file}").format(file=display(file))
    hint = _("make it anew: vaultd disks pull-list --fresh")
    try:
        with file.open("rb") as stream:
            raw = stream.read(LIMIT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(
            what, error.strerror or str(error), _("run it as root, or as the user of the daemon")
        ) from None
    try:
        return parse(json.loads(raw))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise StateError(what, _("it is damaged"), hint) from None


def parse(found: Mapping[str, Any]) -> PullList:
    """A list from its document. Raises StateError for one of a newer vaultd, and whatever a damaged one leads to."""
    if found["version"] != VERSION:
        what, hint = _("the kept pull list"), _("make it anew: vaultd disks pull-list --fresh")
        raise StateError(what, _("it is of version {version}").format(version=found["version"]), hint)
    return _read(found)


# out


def document(made: PullList) -> dict[str, Any]:
    """The object."""
    return {
        "version": VERSION, "number": made.number, "host": made.host, "time": units.rfc3339(made.time),
        "chassis": made.chassis, "disks": [_pull(one) for one in made.pulls],
        "vaults": [_line(one) for one in made.vaults], "problems": list(made.problems),
        **({"media": [_medium(one) for one in made.media]} if made.media else {}),
    }  # fmt: skip


def _medium(one: Noticed) -> dict[str, Any]:
    return {"label": one.label, "device": one.device, "command": one.command}


def _pull(one: Pull) -> dict[str, Any]:
    return {
        "number": one.number, "disk": form.disk(one.disk), "vaults": list(one.vaults), "needed": one.needed,
        "completes": list(one.completes), "leaks": list(one.leaks), "pending_files": one.pending_files,
        "pending_bytes": one.pending_bytes, "notes": list(one.notes),
        "label": {"number": one.label.number, "custodian": one.label.custodian} if one.label is not None else None,
        "procedure": procedure_document(one.procedure) if one.procedure is not None else None,
        **({"signed_off": gone_document(one.gone)} if one.gone is not None else {}),
    }  # fmt: skip


def gone_document(one: Gone) -> dict[str, Any]:
    """Who has signed for a disk that left."""
    return {
        "by": one.by, "to": one.to, "seal": one.seal, "time": units.rfc3339(one.time), "label": one.label,
        "time_source": one.source,
    }  # fmt: skip


def procedure_document(one: Procedure) -> dict[str, Any]:
    """The steps, and who must stop first."""
    return {
        "users_seen": one.users_seen,
        "users": [{"pid": user.pid, "name": user.name, "unit": user.unit} for user in one.users],
        "steps": [step_document(step) for step in one.steps],
    }  # fmt: skip


def step_document(step: Step) -> dict[str, Any]:
    """One step; ``command`` is for whoever types it, and not read back."""
    write_ = {"file": step.write[0], "text": step.write[1]} if step.write is not None else None
    return {"do": step.do.value, "subject": step.subject, "argv": list(step.argv), "write": write_,
            "command": words.command(step)}  # fmt: skip


def _line(one: VaultLine) -> dict[str, Any]:
    need = one.need
    return {
        "name": need.vault, "priority": need.priority, "classification": need.classification,
        "custodian": need.custodian, "pending_files": need.pending_files, "pending_bytes": need.pending_bytes,
        "pending_known": need.known, "complete_after": one.after, "disks": list(one.disks), "notes": list(one.notes),
    }  # fmt: skip


# in


def _read(found: Mapping[str, Any]) -> PullList:
    return PullList(
        units.parse_rfc3339(found["time"]), _text(found["host"]), tuple(map(_read_pull, found["disks"])),
        tuple(map(_read_line, found["vaults"])), _texts(found["problems"]), _text(found["chassis"]),
        tuple(Noticed(_text(one["label"]), _text(one["device"])) for one in found.get("media", ())),
    )  # fmt: skip


def _read_pull(found: Mapping[str, Any]) -> Pull:
    label, procedure = found["label"], found["procedure"]
    return Pull(
        _number(found["number"]), form.read_disk(found["disk"]), _texts(found["vaults"]), bool(found["needed"]),
        _texts(found["completes"]), _texts(found["leaks"]), _number(found["pending_files"]),
        _number(found["pending_bytes"]),
        Label(_text(label["number"]), _text(label["custodian"])) if label is not None else None,
        _texts(found["notes"]), _read_procedure(procedure) if procedure is not None else None,
        _read_gone(found.get("signed_off")),
    )  # fmt: skip


def _read_gone(found: Mapping[str, Any] | None) -> Gone | None:
    if found is None:
        return None
    by, to, seal, label, source = (_text(found[name]) for name in ("by", "to", "seal", "label", "time_source"))
    return Gone(by, to, seal, units.parse_rfc3339(found["time"]), label, source)


def _read_procedure(found: Mapping[str, Any]) -> Procedure:
    users = tuple(User(_number(one["pid"]), _text(one["name"]), _text(one["unit"])) for one in found["users"])
    return Procedure(tuple(map(_read_step, found["steps"])), users, bool(found["users_seen"]))


def _read_step(found: Mapping[str, Any]) -> Step:
    write_ = found["write"]
    pair = (_text(write_["file"]), _text(write_["text"])) if write_ is not None else None
    return Step(Do(found["do"]), _text(found["subject"]), _texts(found["argv"]), pair)


def _read_line(found: Mapping[str, Any]) -> VaultLine:
    need = Need(
        _text(found["name"]), _number(found["priority"]), _text(found["classification"]), _text(found["custodian"]),
        _number(found["pending_files"]), _number(found["pending_bytes"]), bool(found["pending_known"]),
    )  # fmt: skip
    after = found["complete_after"]
    return VaultLine(
        need, _number(after) if after is not None else None, tuple(map(_number, found["disks"])), _texts(found["notes"])
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _number(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(value)
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(value)
    return tuple(map(_text, value))
