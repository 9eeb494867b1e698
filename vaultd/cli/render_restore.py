"""What people read of a restore: what it will bring, and what it has brought."""

from __future__ import annotations

from collections.abc import Iterable

from vaultd.cli.format import duration, files, local, number, size
from vaultd.i18n import _, ngettext
from vaultd.model import SnapshotKind
from vaultd.names import display
from vaultd.restore.elsewhere import Elsewhere
from vaultd.restore.merge import ADDED, BESIDE, REPLACED
from vaultd.restore.plan import Plan
from vaultd.restore.result import Outcome, Result

MOST_NAMES = 20


def render_plan(plan: Plan) -> str:
    """Which snapshots make it."""
    base, vault = plan.base, plan.request.vault
    moment = local(base.time)
    if base.kind is SnapshotKind.DUMP:
        return _("Dump {name} of vault {vault} of {moment}, from target {target}").format(
            name=base.dump_name, vault=vault, moment=moment, target=plan.target
        )
    if base.kind is SnapshotKind.FULL:
        lines = [
            _("Vault {vault} exactly as of {moment}, from target {target} ({files}, {size})").format(
                vault=vault, moment=moment, target=plan.target, files=files(base.files), size=size(base.bytes)
            )
        ]
    else:
        lines = [
            _(
                "Vault {vault} from target {target}, without a full snapshot: a mixture of moments from {moment} on"
            ).format(vault=vault, moment=moment, target=plan.target)
        ]
    if plan.over:
        count = len(plan.over)
        lines.append(
            ngettext(
                "and over it {count} express snapshot, of {moment}",
                "and over it {count} express snapshots, the last of {moment}", count,
            ).format(count=count, moment=local(plan.over[-1].time))
        )  # fmt: skip
    if plan.request.at is not None and plan.next is not None:
        lines.append(_("The next full snapshot is of {moment}.").format(moment=local(plan.next)))
    return "\n".join(lines)


def render_gone(result: Result) -> str:
    """What it costs that express snapshots are gone; empty when none is."""
    lines = []
    for one in result.gone:
        count = len(one.paths)
        text = ngettext(
            "The express snapshot {id} of {moment} is gone from target {target}: {count} file comes back older or not",
            "The express snapshot {id} of {moment} is gone from target {target}: {count} files come back older or not",
            count,
        )
        lines.append(
            text.format(id=one.snapshot[:8], moment=local(one.time), target=result.plan.target, count=number(count))
        )
        lines += _names(display(path) for path in one.paths)
    return "\n".join(lines)


def render(result: Result) -> str:
    """What was restored, what was not, and what to look at."""
    lines = [_headline(result)]
    for place, snapshot in enumerate(result.plan.snapshots):
        lines += _changes(result, place, local(snapshot.time))
    lines += _reappeared(result)
    if result.missing:
        lines.append(_("Not in any of these snapshots:"))
        lines += _names(display(path) for path in result.missing)
    if result.problems:
        count = len(result.problems)
        lines.append(ngettext("{count} path is not wholly restored:", "{count} paths are not wholly restored:", count)
                     .format(count=count))  # fmt: skip
        lines += _names(f"{one.path}: {one.message}" for one in result.problems)
    if result.outcome in (Outcome.DONE, Outcome.PARTIAL) and not result.owners:
        lines.append(_("Not run as root: the owners of files were not restored."))
        if result.other_owners:
            text = ngettext(
                "{count} file or folder belonged to somebody else.",
                "{count} files and folders belonged to somebody else.",
                result.other_owners,
            )
            lines.append("  " + text.format(count=number(result.other_owners)))
    for dump in result.plan.dumps if result.outcome is not Outcome.FAILED else ():
        lines.append(
            _("There is a dump {name} of {moment}: restore it with --dump {name}").format(
                name=dump.dump_name, moment=local(dump.time)
            )
        )
    return "\n".join(lines)


def render_elsewhere(found: Elsewhere, target: str) -> str:
    """Which file versions a target could not give, and from where each came."""
    count = len(found.lost)
    lines = [
        ngettext("Target {name} could not give {count} file version:",
                 "Target {name} could not give {count} file versions:", count).format(name=target, count=number(count))
    ]  # fmt: skip
    origin, lost = {one.path: one for one in found.taken}, set(found.lost)
    shown = []
    for path in [*found.lost, *(one.path for one in found.taken if one.path not in lost)]:
        one = origin.get(path)
        if one is None:
            text = _("{path}: at no other target either") if path in found.still else _("{path}: see below")
            shown.append(text.format(path=display(path)))
        elif one.confirmed:
            text = _("{path}: taken from target {name}, with the SHA-256 on record")
            shown.append(text.format(path=display(path), name=one.target))
        else:
            text = _("{path}: taken from target {name}, but there is no record to compare it with")
            shown.append(text.format(path=display(path), name=one.target))
    lines += _names(shown)
    for name, error in found.failed.items():
        lines.append(_("Target {name} could not be read: {error}").format(name=name, error=error))
    return "\n".join(lines)


def _headline(result: Result) -> str:
    numbers = {
        "files": _entries(result.files_done), "size": size(result.bytes_done), "folder": display(result.to),
        "duration": duration(result.seconds),
    }  # fmt: skip
    match result.outcome:
        case Outcome.PLANNED:
            return _("Nothing was done (--dry-run). Folder: {folder}, free: {free}").format(
                free=size(result.free or 0), **numbers
            )
        case Outcome.DONE:
            return _("Restored to {folder}: {files}, {size} in {duration}").format(**numbers)
        case Outcome.PARTIAL:
            return _("Restored in part to {folder}: {files}, {size} in {duration}").format(**numbers)
        case Outcome.INTERRUPTED:
            text = _("Interrupted: {files}, {size} are in {folder}, which is not complete.").format(**numbers)
        case _:
            text = _("Failed: {files}, {size} are in {folder}, which is not complete.").format(**numbers)
    return text + "\n" + _("The same command goes on where it stopped.")


def _entries(count: int) -> str:
    """restic counts folders among the files."""
    return ngettext("{count} file or folder", "{count} files and folders", count).format(count=number(count))


def _changes(result: Result, place: int, moment: str) -> list[str]:
    changes = result.express(place)
    if not changes or place == 0:
        return []
    count = {kind: sum(number_ for one, _path, number_, _links in changes if one == kind) for kind in (ADDED, REPLACED)}
    lines = [
        _("From the express snapshot of {moment}: {added} added, {replaced} replaced:").format(
            moment=moment, added=files(count[ADDED]), replaced=files(count[REPLACED])
        )
    ]
    shown = []
    for kind, path, _number, links in changes:
        note = ""
        if kind == BESIDE:
            note = " " + _("(put beside: a file and a folder cannot have one name)")
        elif links:
            note = " " + _("(its other hard links keep the older content)")
        shown.append(display(path) + note)
    return [*lines, *_names(shown)]


def _reappeared(result: Result) -> list[str]:
    if not result.plan.over or result.outcome not in (Outcome.DONE, Outcome.PARTIAL):
        return []
    base = local(result.plan.base.time)
    lines = [_("What was deleted after {moment} may be back.").format(moment=base)]
    found = result.reappeared
    if found:
        lines[0] += " " + _("In folders that changed since, these are older than the change:")
        lines += _names(display(path) for path in found)
    return lines


def _names(texts: Iterable[str]) -> list[str]:
    all_ = list(texts)
    lines = [f"  {text}" for text in all_[:MOST_NAMES]]
    more = len(all_) - MOST_NAMES
    if more > 0:
        lines.append("  " + ngettext("and {count} more", "and {count} more", more).format(count=more))
    return lines
