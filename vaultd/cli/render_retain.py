"""What ``forget`` shows: a table of what goes and why, and what became of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from vaultd.cli.format import files, local, number, size, table
from vaultd.i18n import N_, _, ngettext
from vaultd.restore.result import snapshot_json

if TYPE_CHECKING:
    from vaultd.restic.commands import Checked
    from vaultd.retain.forget import Done, Plan
    from vaultd.retain.place import Place
    from vaultd.verify.result import Result

KINDS = {"full": N_("full"), "express": N_("express"), "dump": N_("dump")}
REASONS = {
    "newest": N_("the newest"), "within": N_("within keep_within"), "daily": N_("last of its day"),
    "weekly": N_("last of its week"), "monthly": N_("last of its month"), "yearly": N_("last of its year"),
    "no-newer-full": N_("no newer full snapshot"), "express-period": N_("express period"),
    "with-full": N_("belongs to a full snapshot that stays"), "odd-date": N_("its date cannot be true"),
    "last-acknowledged": N_("the newest that was acknowledged"),
    "policy": N_("no rule keeps it"), "express-over": N_("its content is in a full snapshot, its period is over"),
    "with-its-full": N_("goes with its full snapshot"), "withdrawn": N_("withdrawn: it is not exact"),
}  # fmt: skip
MOST_ROWS = 60


def render_plan(place: Place, plan: Plan) -> str:
    """What goes and why, and how many stay by which rule."""
    going, staying = plan.choice.going, plan.choice.staying
    lines = [
        _("{vault} at {target}: {going} of {all} snapshots go").format(
            vault=place.vault, target=place.target.name, going=number(len(plan.ids)),
            all=number(len(plan.choice.decisions) + len(plan.withdrawn)),
        )
    ]  # fmt: skip
    if going:
        head = [_("moment"), _("kind"), _("files"), _("size"), _("id"), _("why")]
        rows = []
        for one in going[:MOST_ROWS]:
            kind = _(KINDS[one.snapshot.kind.value]) + (f" {one.snapshot.dump_name}" if one.snapshot.dump_name else "")
            what = one.snapshot
            rows.append(
                [local(what.time), kind, number(what.files), size(what.bytes), what.id[:8], _(REASONS[one.why.value])]
            )
        lines.append(table(head, rows, right=(2, 3)))
        if len(going) > MOST_ROWS:
            lines.append(_("and {count} more, see --json").format(count=number(len(going) - MOST_ROWS)))
    if plan.withdrawn:
        ids = ", ".join(one[:8] for one in plan.withdrawn[:MOST_ROWS])
        why = REASONS["withdrawn"]  # apart: whoever collects texts would take the key for one
        lines.append(f"{_(why)}: {ids}")
    counts = Counter((one.snapshot.kind.value, one.why.value) for one in staying)
    for (kind, why), count in sorted(counts.items()):
        text = ngettext("  stays: {count} {kind}, {why}", "  stay: {count} {kind}, {why}", count)
        lines.append(text.format(count=number(count), kind=_(KINDS[kind]), why=_(REASONS[why])))
    if plan.choice.odd:
        ids = ", ".join(one.id[:8] for one in plan.choice.odd[:MOST_ROWS])
        lines.append(_("dates that cannot be true: {ids}").format(ids=ids))
    return "\n".join(lines)


def render_done(target: str, done: Done) -> str:
    """What became of it."""
    lines = [_("{target}: {count} snapshots removed").format(target=target, count=number(len(done.forgotten)))]
    if done.left:
        lines.append(_("  not removed: {ids}").format(ids=", ".join(one[:8] for one in done.left)))
    if done.sample is not None:
        lines.append("  " + _sample(done.sample))
    if done.check is not None:
        lines.append("  " + render_check(done.check))
    if done.freed is not None:
        lines.append(_("  cleared away: {size}").format(size=size(done.freed)))
    elif done.forgotten:
        lines.append(_("  Their data stays until somebody prunes: --prune"))
    return "\n".join(lines)


def _sample(found: Result) -> str:
    """What the sample of the rest has shown."""
    if not found.count:
        return _("a sample was compared with the ledger: {files}, all as on record").format(files=files(found.files))
    return _("a sample was compared with the ledger: {files}, {count} NOT as on record; see vaultd verify").format(
        files=files(found.files), count=number(found.count)
    )


def render_check(check: Checked) -> str:
    """What a check said."""
    if check.good:
        return _("the rest was checked: it is whole")
    return _("the rest was checked: {count} faults; see vaultd repair").format(count=number(check.faults))


def target_json(place: Place, plan: Plan, done: Done | None) -> dict[str, Any]:
    """A target in the JSON of ``forget``."""
    return {
        "target": place.target.name,
        "going": [snapshot_json(one.snapshot) | {"why": one.why.value} for one in plan.choice.going],
        "withdrawn": list(plan.withdrawn),
        "staying": [snapshot_json(one.snapshot) | {"why": one.why.value} for one in plan.choice.staying],
        "odd": [one.id for one in plan.choice.odd],
        "done": None if done is None else {
            "forgotten": done.forgotten, "left": done.left, "freed": done.freed, "check": check_json(done.check),
            "sample": None if done.sample is None else done.sample.as_json(),
        },
    }  # fmt: skip


def check_json(check: Checked | None) -> dict[str, Any] | None:
    """A check in JSON."""
    if check is None:
        return None
    return {"good": check.good, "faults": check.faults, "packs": [*check.broken, *check.gone]}
