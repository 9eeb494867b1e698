"""What people read of a verification: what was read back, and what is not as on record."""

from __future__ import annotations

from vaultd.cli.format import duration, files, local, number, size
from vaultd.i18n import N_, _, ngettext
from vaultd.names import display
from vaultd.verify.result import DIFFERENCES, Difference, Kind, Result, Verdict

MOST_NAMES = 20

VERDICTS = {
    Verdict.OK: N_("as on record"), Verdict.OTHER: N_("another version"), Verdict.DAMAGED: N_("damaged"),
    Verdict.MISSING: N_("missing"), Verdict.UNREADABLE: N_("unreadable"), Verdict.UNKNOWN: N_("not on record"),
    Verdict.DESTROYED: N_("destroyed on purpose"),
}  # fmt: skip

KINDS = {
    Kind.FULL: N_("all files"), Kind.SAMPLE: N_("a sample"), Kind.CHANGED: N_("changed files"),
    Kind.DAILY: N_("the daily share"),
}  # fmt: skip


def render(result: Result) -> str:
    """A line of what was verified, then each difference with the version that is still whole."""
    lines = [_head(result)]
    counts = [f"{_(VERDICTS[one])} {number(result.counts[one])}" for one in Verdict if result.counts[one]]
    if counts:
        lines.append("  " + ", ".join(counts))
    if result.before:
        lines.append("  " + _("verified before the interruption: {files}").format(files=files(result.before)))
    if result.asked.kind is Kind.SAMPLE:
        lines.append("  " + _("sample of {share:.4g} %, seed {seed}").format(
            share=100 * result.asked.share, seed=result.asked.seed))  # fmt: skip
    lines += ["  " + _("snapshot {id} is on record, and gone from the target").format(id=one[:8])
              for one in result.missing]  # fmt: skip
    lines += [f"  {_difference(one)}" for one in result.differences[:MOST_NAMES]]
    more = sum(result.counts[one] for one in DIFFERENCES) - min(len(result.differences), MOST_NAMES)
    if more > 0:
        lines.append("  " + ngettext("and {count} more, see --json", "and {count} more, see --json", more).format(
            count=more))  # fmt: skip
    return "\n".join(lines)


def _head(result: Result) -> str:
    target = result.target or _("the repository")
    place = f"{result.vault} → {target}"
    moment = local(result.time) if result.time is not None else "-"
    numbers = {
        "place": place, "kind": _(KINDS[result.asked.kind]), "moment": moment, "files": files(result.files),
        "size": size(result.size), "duration": duration(result.seconds),
    }  # fmt: skip
    if result.count:
        text = _("{place}: {kind} as of {moment}: NOT as on record: {files}, {size} read back in {duration}")
    elif result.state == "interrupted":
        text = _("{place}: {kind} as of {moment}: interrupted after {files}, {size}; the same command goes on")
    elif result.state == "failed":
        text = _("{place}: {kind} as of {moment}: broken off after {files}, {size}; the same command goes on")
    else:
        text = _("{place}: {kind} as of {moment}: as on record: {files}, {size} read back in {duration}")
    return text.format(**numbers)


def _difference(one: Difference) -> str:
    text = f"{display(one.path)}: {_(VERDICTS[one.verdict])}"
    if one.why:
        text += f" ({one.why})"
    good = one.good
    if good is None:
        return text + "; " + _("no other version is known to be whole")
    moment = local(good.time)
    if good.same:
        still = _("whole at target {target}, snapshot {id} of {moment}")
    else:
        still = _("an earlier version is whole at target {target}, snapshot {id} of {moment}")
    return text + "; " + still.format(target=good.target, id=good.snapshot[:8], moment=moment)
