"""What the cells of the printed page say of a disk."""

from __future__ import annotations

from collections.abc import Iterable

from vaultd import units
from vaultd.paper.both import Both
from vaultd.pull import sheet_texts as texts
from vaultd.pull import words
from vaultd.pull.model import Pull, PullList, is_safe


def joined(both: Both) -> str:
    """English, then Chinese, in one line."""
    return f"{both.en}  {both.zh}"


def bay(pull: Pull) -> str:
    """Its bay, with a question mark where it is doubtful."""
    text = pull.disk.bay.text if pull.disk.bay is not None else "?"
    return f"{text} ?" if "double-slot" in pull.notes or "slot-differs" in pull.notes else text


def disk(pull: Pull) -> str:
    """What is printed on it."""
    one = pull.disk
    name = " ".join(part for part in (one.vendor, one.model) if part)
    size = units.size(one.size) if one.size else ""
    return "\n".join(part for part in (f"{one.serial or one.wwn or one.key}  {size}".strip(), name) if part)


def code_of(pull: Pull) -> str:
    """What a disk's QR code says: its label, as on the label itself; its key where it is in no register."""
    return pull.label.number if pull.label is not None else f"{texts.CODE}{pull.disk.key}"


def holds(pull: Pull, made: PullList) -> str:
    """The vaults on it, whose, and what is to be known of it."""
    lines = [", ".join(pull.vaults)]
    if pull.label is not None and pull.label.custodian:
        lines[0] += f"  ({pull.label.custodian})"
    if not pull.needed:
        lines.append(joined(texts.FURTHER))
    if pull.gone is not None:
        lines.append(joined(texts.GONE))
    if pull.pending_files:
        lines.append(joined(texts.PENDING.format(count=pull.pending_files, size=units.size(pull.pending_bytes))))
    elif is_safe(pull, made):
        lines.append(joined(texts.SAFE))
    if pull.leaks:
        lines.append(joined(texts.LEAK.format(vaults=", ".join(pull.leaks))))
    lines += [joined(texts.NOTES[code]) for code in pull.notes if code in texts.NOTES]
    return "\n".join(lines)


def every(made: PullList) -> Iterable[str]:
    """What people and hardware have named: only there a character may be missing."""
    yield made.host
    for line in made.vaults:
        yield line.need.custodian
    for pull in made.pulls:
        yield from (disk(pull), bay(pull), pull.label.number if pull.label else "", holds(pull, made))
        if pull.gone is not None:
            yield from (pull.gone.by, pull.gone.to, pull.gone.seal)
        if pull.procedure is not None:
            yield from (words.command(step) for step in pull.procedure.steps)
