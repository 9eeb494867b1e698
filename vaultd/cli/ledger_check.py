"""``vaultd ledger verify|checkpoint``: whether the record holds, and its newest checkpoint for others to keep."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import progress
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.ledger import folder_option, ledger_folder
from vaultd.errors import EXIT_DIFFERENCE, EXIT_DONE, ConfigError, LedgerMissingError
from vaultd.i18n import N_, _
from vaultd.model import Progress
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.ledger.note import VerifierKey
    from vaultd.ledger.verify import Finding, Report


@command(
    "verify",
    help=N_(
        "Check the whole ledger: every entry, hash, signature and key, every checkpoint that was ever signed, and what "
        "targets, witnesses and time-stamp authorities hold. Reads only; the daemon may run. Says the first thing that "
        "is wrong, and what follows from it; the exit code is then 4.\n\n"
        "Who has taken this host over can write another history with the real key. Only a checkpoint from elsewhere "
        "shows that: from paper (--checkpoint), or from the targets (--targets)."
    ),
    examples=[
        "vaultd ledger verify",
        "vaultd ledger verify --checkpoint /media/stick/checkpoint-2026-11-01 --root-key ward/vaultd/...",
        "vaultd ledger verify --targets",
        "vaultd ledger verify --ledger /tmp/restored/ledger",
    ],
)
@click.option("--checkpoint", "files", multiple=True, metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help=N_("A checkpoint that was kept elsewhere; may be repeated."))  # fmt: skip
@click.option("--targets", "ask", is_flag=True, help=N_("Read back what every target has seen of this ledger."))
@click.option("--root-key", metavar="KEY", help=N_("The public root key, from paper."))
@folder_option
@pass_cli
def verify_command(cli: Cli, files: tuple[Path, ...], ask: bool, root_key: str | None, folder: Path | None) -> int:
    """Verify, and say what holds or what is wrong."""
    from vaultd.ledger.verify import Finding, verify

    where = ledger_folder(cli, folder)
    if not where.is_dir():
        raise LedgerMissingError(_("there is no ledger"), display(where), _("make it: `vaultd ledger init`"))
    outside = [_content(file) for file in files]
    key = None if root_key is None else _key(root_key)
    problems = list[str]()
    with progress.display(cli) as shown:
        begun = time.monotonic()

        def tell(done: int, total: int) -> None:
            rate = done / max(time.monotonic() - begun, 0.001)
            left = (total - done) / rate if rate else None
            shown.show([Progress("ledger", "", "", "", done, total, 0, 0, 0.0, left)])

        try:
            report = verify(where, outside=outside, root=key, on_progress=tell)
        except Finding as found:
            return _wrong(cli, where, found, files)
    if folder is None:
        problems += _elsewhere(cli, ask)
    cli.emit({"version": 1, "ledger": str(where), "holds": not problems, "report": _json(report), "problems": problems})
    for problem in problems:
        cli.note(f"vaultd: {problem}")
    if not problems:
        cli.say(_("The ledger {origin} holds. Signed entries: {size}, the newest of {time}; checkpoints: "
                  "{checkpoints}; keys: {epochs}; entries not signed yet: {unsigned}.").format(
            origin=report.origin, size=report.size, time=report.time, checkpoints=report.checkpoints,
            epochs=report.epochs, unsigned=report.unsigned))  # fmt: skip
        if key is None:
            cli.say(_("Its root key was taken from the folder itself; --root-key compares it with the one on paper."))
    return EXIT_DIFFERENCE if problems else EXIT_DONE


def _wrong(cli: Cli, where: Path, found: Finding, files: tuple[Path, ...]) -> int:
    finding: dict[str, Any] = {
        "code": found.code.value, "file": found.file, "entry": found.entry, "what": found.what,
        "meaning": found.meaning,
    }  # fmt: skip
    finding["checkpoint"] = None if found.outside is None else str(files[found.outside])
    cli.emit({"version": 1, "ledger": str(where), "holds": False, "finding": finding, "problems": [found.what]})
    what = _("the ledger {folder} does not hold").format(folder=display(where))
    cli.note(f"vaultd: {what}: {found.what}")
    cli.note(_("hint: {hint}").format(hint=found.meaning))
    return EXIT_DIFFERENCE


def _elsewhere(cli: Cli, ask: bool) -> Iterator[str]:
    """What does not hold of the anchors that are kept, and of what the targets say now."""
    from vaultd.anchor import mirror
    from vaultd.anchor.verify import verify
    from vaultd.ledger.folder import LogFolder

    config = cli.config()
    folder = LogFolder(config.ledger_folder)
    for one in verify(config.ledger, folder):
        if one.problem or one.error is not None:
            yield f"{one.kind} {one.name} {'' if one.size is None else one.size}: {one.problem or one.error}"
    for target in config.target if ask else ():
        seen = mirror.look(config, target, folder, everything=True)
        newest = seen.newest.size if seen.newest is not None else 0
        cli.note(_("target {name} has seen this ledger up to the size {size}").format(name=target.name, size=newest))
        if seen.missing:
            yield _("target {name}: checkpoints that were there are gone: {sizes}").format(
                name=target.name, sizes=", ".join(map(str, seen.missing))
            )


def _content(file: Path) -> bytes:
    from vaultd.ledger.note import LONGEST

    try:
        with file.open("rb") as stream:
            return stream.read(LONGEST + 1)
    except OSError as error:
        raise ConfigError(f"--checkpoint {display(file)}", error.strerror or str(error)) from None


def _key(text: str) -> VerifierKey:
    from vaultd.ledger import note

    try:
        return note.parse_key(text.strip())
    except ValueError as error:
        why = _("found {found}; allowed: {allowed}").format(
            found=display(text.encode()), allowed=_("the line \"its root key, public\" of the paper")
        )  # fmt: skip
        raise ConfigError("--root-key", why) from error


def _json(report: Report) -> dict[str, Any]:
    return {
        "origin": report.origin, "size": report.size, "root": report.root.hex(), "time": report.time,
        "checkpoints": report.checkpoints, "epochs": report.epochs, "unsigned": report.unsigned,
    }  # fmt: skip


@command(
    "checkpoint",
    help=N_(
        "Print the newest checkpoint: the ledger's size and hash, signed. Kept elsewhere, on paper or in a colleague's "
        "mail, it shows later that nothing was changed since: `vaultd ledger verify --checkpoint FILE`."
    ),
    examples=[
        "vaultd ledger checkpoint",
        "vaultd ledger checkpoint --qr",
        "vaultd ledger checkpoint --png /tmp/checkpoint.png",
    ],
)
@click.option("--qr", is_flag=True, help=N_("As a QR code too, for the duty log on paper."))
@click.option("--png", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help=N_("Write the QR code as a picture."))  # fmt: skip
@folder_option
@pass_cli
def checkpoint_command(cli: Cli, qr: bool, png: Path | None, folder: Path | None) -> int:
    """Show it as it was signed."""
    from vaultd import files
    from vaultd.anchor import qr as codes
    from vaultd.ledger.reading import Reader

    reader = Reader(ledger_folder(cli, folder))
    note = reader.note()
    signed = reader.signed
    if png is not None:
        files.replace(png, codes.png(note), 0o644)
    cli.emit(
        {
            "version": 1, "origin": signed.origin, "size": signed.size, "root": signed.root.hex(),
            "checkpoint": note.decode(), "png": None if png is None else str(png),
        }
    )  # fmt: skip
    cli.say(note.decode().rstrip("\n"))
    if qr:
        cli.say()
        cli.say(codes.terminal(note, colour=sys.stdout.isatty()).rstrip("\n"))
    if png is not None:
        cli.note(_("wrote {file}").format(file=display(png)))
    return EXIT_DONE
