"""A pull list on the terminal: what somebody with a torch reads, one disk after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vaultd.cli.format import ago, columns, local, number, size, width
from vaultd.disks.model import Disk
from vaultd.i18n import _, ngettext
from vaultd.pull import words
from vaultd.pull.model import Gone, Pull, PullList, VaultLine, is_safe, new_steps

_INDENT = "        "


def pull_list(made: PullList, now: int) -> str:
    """The whole list. ``now``: nanoseconds since 1970."""
    head = _("Pull list {number} of {host}: disks as they were on {time}, {age}").format(
        number=made.number, host=made.host or "-", time=local(made.time), age=ago(made.time, now)
    )
    lines = [head, ""]
    if not made.pulls:
        lines += [_("No disk holds anything of a vault."), ""]
    rooms = _rooms(made.pulls)
    shown = set[tuple[str, ...]]()
    for pull in made.pulls:
        lines += _pull(pull, made, rooms, shown)
    lines += _vaults(made)
    lines += [
        _("Medium {label} is plugged in ({device}), and no target yet: {command}").format(
            label=plain(one.label), device=plain(one.device), command=plain(one.command))
        for one in made.media
    ]  # fmt: skip
    if made.problems:
        lines += ["", _("What could not be seen:"), *(f"  {plain(one)}" for one in made.problems)]
    return "\n".join(lines)


def disk_text(disk: Disk) -> str:
    """What is printed on a disk: make, model, serial number, size."""
    model = " ".join(part for part in (disk.vendor, disk.model) if part)
    parts = [plain(model), _("serial {serial}").format(serial=plain(disk.serial)) if disk.serial else ""]
    parts.append(size(disk.size) if disk.size else "")
    return ", ".join(part for part in parts if part) or plain(disk.key)


def bay_text(disk: Disk) -> str:
    """Its bay, and "?" where nobody has confirmed it."""
    if disk.bay is None:
        return _("bay ?")
    doubt = "" if disk.bay.source == "confirmed" else "?" if "double-slot" in disk.problems else ""
    return _("bay {bay}").format(bay=plain(disk.bay.text)) + doubt


def plain(text: str) -> str:
    """A text from hardware or a file: one line, nothing that a terminal would obey."""
    return "".join(one if one.isprintable() else "?" for one in text)


def _rooms(pulls: Iterable[Pull]) -> tuple[int, int]:
    pulls = list(pulls)
    return (
        max((width(bay_text(pull.disk)) for pull in pulls), default=0),
        max((width(pull.label.number if pull.label else "-") for pull in pulls), default=0),
    )


def _pull(pull: Pull, made: PullList, rooms: tuple[int, int], shown: set[tuple[str, ...]]) -> Iterator[str]:
    label = plain(pull.label.number) if pull.label is not None else "-"
    box = "[x]" if pull.gone is not None else "[ ]"
    yield (
        f"{pull.number:>3} {box} {columns(bay_text(pull.disk), rooms[0])}  {columns(label, rooms[1])}  "
        f"{disk_text(pull.disk)}"
    )
    if pull.label is not None and pull.label.custodian:
        yield _INDENT + _("responsible: {name}").format(name=plain(pull.label.custodian))
    yield (
        _INDENT
        + _("holds: {vaults}").format(vaults=", ".join(pull.vaults))
        + ("" if pull.needed else "  " + _("(a further copy, or what is left over)"))
    )
    if pull.gone is not None:
        yield _INDENT + gone_text(pull.gone)
    if pull.pending_files:
        yield _INDENT + pending(pull.pending_files, pull.pending_bytes)
    elif is_safe(pull, made):
        yield _INDENT + _("all that is on it is safe off-site")
    if pull.leaks:
        yield _INDENT + _("LEAK if it is left behind: anybody can read {vaults} on it").format(
            vaults=", ".join(pull.leaks))  # fmt: skip
    for code in pull.notes:
        yield _INDENT + _("note: {text}").format(text=words.note(code))
    if pull.gone is None:
        yield from _procedure(pull, shown)
    for vault in pull.completes:
        unsure = any(line.need.vault == vault and "unsure" in line.notes for line in made.vaults)
        text = _("--- COPY COMPLETE of {vault} after disk {number} ---").format(vault=vault, number=pull.number)
        yield text + (" " + _("(as far as could be seen)") if unsure else "")
    yield ""


def gone_text(gone: Gone) -> str:
    """Who has signed for a disk that left."""
    text = _("HAS LEFT as {label}: {by} to {to}, {time}").format(
        label=plain(gone.label), by=plain(gone.by), to=plain(gone.to), time=local(gone.time))  # fmt: skip
    if gone.source == "stated":
        text += " " + _("(as written on paper)")
    return text + (", " + _("seal {seal}").format(seal=plain(gone.seal)) if gone.seal else "")


def pending(files: int, size_: int) -> str:
    """What no target has."""
    text = ngettext(
        "NOT YET OFF-SITE: {count} file, {size}", "NOT YET OFF-SITE: {count} files, {size}", files
    )  # fmt: skip
    return text.format(count=number(files), size=size(size_))


def _procedure(pull: Pull, shown: set[tuple[str, ...]]) -> Iterator[str]:
    """The commands that no disk before has had; a stack that is taken down for one is down for all."""
    if pull.procedure is None:
        return
    if pull.procedure.users:
        yield _INDENT + _("in use by {names}").format(names=", ".join(map(words.user, pull.procedure.users)))
    elif not pull.procedure.users_seen and any(step.argv for step in pull.procedure.steps):
        yield _INDENT + _("who uses it could not be seen: vaultd disks release --dry-run shows it to root")
    for step in new_steps(pull, shown):
        yield _INDENT + (f"$ {plain(words.command(step))}" if words.command(step) else words.title(step))


def _vaults(made: PullList) -> Iterator[str]:
    yield _("Vaults, the most important first:")
    for line in made.vaults:
        yield f"  {_vault(line)}"


def _vault(line: VaultLine) -> str:
    need = line.need
    if line.after is not None:
        said = _("carried after disk {number}").format(number=line.after)
    else:
        said = _("no carried copy can be promised")
    parts = [said, _("disks: {numbers}").format(numbers=", ".join(map(str, line.disks)) or "-")]
    if need.pending_files:
        parts.append(pending(need.pending_files, need.pending_bytes))
    parts += [words.note(code) for code in line.notes]
    custodian = f", {plain(need.custodian)}" if need.custodian else ""
    return f"{need.priority}  {need.vault}{custodian}: {'; '.join(parts)}"
