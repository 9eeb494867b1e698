"""``vaultd manifest``: a restored folder as a bag whose files anybody can check against the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import progress
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.ledger import folder_option, ledger_folder
from vaultd.errors import EXIT_DONE
from vaultd.i18n import N_, _, ngettext
from vaultd.names import as_json, display

if TYPE_CHECKING:
    from vaultd.bag.make import Asked, Made
    from vaultd.bag.payload import PayloadDiffersError

MOST_NAMES = 20


@command(
    "manifest",
    help=N_(
        "Make a restored folder a bag (BagIt 1.0), for somebody who has nothing of vaultd: every file is compared with "
        "the ledger, and manifests are written that bagit.py, sha256sum and hashdeep check, with the proof from the "
        "ledger. The files are those of the newest full snapshot not after --at.\n\n"
        "The files lie in DIR/data: restore with --to DIR/data --exact, or name a restored folder with --from, whose "
        "files are linked into DIR, or copied where they cannot be. In place, files whose names the formats cannot "
        "carry are moved to data/_x/, and symbolic links and devices are removed; names.jsonl says what they were.\n\n"
        "Where a file is not as on record, nothing is changed or written, and the exit code is 4. Interrupted, the "
        "same command goes on."
    ),
    examples=[
        "vaultd manifest patients --to /srv/export",
        "vaultd manifest patients --to /srv/export --from /srv/restored",
        "vaultd manifest patients --to /srv/export --at '2026-11-22 20:03'",
    ],
)
@click.argument("vault")
@click.option("--to", required=True, metavar="DIR", type=click.Path(path_type=Path),
              help=N_("The folder of the bag: new, or with nothing but data in it, or a bag made before."))  # fmt: skip
@click.option("--from", "source", metavar="FOLDER", type=click.Path(path_type=Path),
              help=N_("A restored folder to take the files from; it stays as it is."))  # fmt: skip
@click.option("--at", metavar="TIME", help=N_("The moment that was restored [default: the newest full snapshot]"))
@folder_option
@pass_cli
def manifest_command(
    cli: Cli, vault: str, to: Path, source: Path | None, at: str | None, folder: Path | None
) -> int:  # fmt: skip
    """Make it, and tell what it is; or what is not as on record."""
    from vaultd.bag.make import Asked, make
    from vaultd.bag.payload import PayloadDiffersError
    from vaultd.restore import moment

    before = moment.parse(at) if at is not None else None
    asked = Asked(ledger_folder(cli, folder), vault, to, source, before)
    with progress.display(cli) as shown:
        try:
            made = make(asked, lambda one: shown.show([one]))
        except PayloadDiffersError as error:
            differs = error
        else:
            _record(cli, made, asked)
            return _tell(cli, made, asked.bag)
    return _wrong(cli, differs, asked.bag)


def _record(cli: Cli, made: Made, asked: Asked) -> None:
    """Files that leave the vault's protection are an entry, like a restore; where there is no ledger, none."""
    from vaultd.custody import caller
    from vaultd.ledger.events import Exported

    entry = made.record.entry
    cli.record(
        Exported(
            entry["vault"], display(asked.bag.absolute()), caller(), made.files, made.size,
            bytes.fromhex(entry["manifest"]), entry["origin"], entry["seq"],
        )
    )  # fmt: skip


def _tell(cli: Cli, made: Made, bag: Path) -> int:
    from vaultd.cli.format import files, local, rfc3339, size

    entry = made.record.entry
    cli.emit(
        {
            "version": 1, "bag": str(bag), "complete": True, "vault": entry["vault"], "target": entry["target"],
            "snapshot": entry["snapshot"], "time": rfc3339(made.record.time), "entry": entry["seq"],
            "checkpoint": made.record.size, "manifest": entry["manifest"], "files": made.files, "bytes": made.size,
            "renamed": made.renamed, "noted": made.noted, "sm3": bool(made.sm3), "destroyed": made.destroyed,
            "count": 0, "differences": [],
        }
    )  # fmt: skip
    cli.say(_("{folder} is a bag of vault {vault} as of {moment}: {files}, {size}, each as on record.").format(
        folder=display(bag), vault=entry["vault"], moment=local(made.record.time), files=files(made.files),
        size=size(made.size)))  # fmt: skip
    cli.say(_("Their manifest has the SHA-256 {digest}, as entry {entry} says, which is in the checkpoint of size "
              "{size}.").format(digest=entry["manifest"], entry=entry["seq"], size=made.record.size))  # fmt: skip
    if made.noted:
        cli.say(
            ngettext(
                "What the formats cannot carry is in names.jsonl: {count} line; files moved to data/_x: {renamed}.",
                "What the formats cannot carry is in names.jsonl: {count} lines; files moved to data/_x: {renamed}.",
                made.noted,
            ).format(count=made.noted, renamed=made.renamed)
        )
    if made.destroyed:
        cli.say(
            ngettext(
                "{count} file of it was destroyed on purpose since; names.jsonl says which.",
                "{count} files of it were destroyed on purpose since; names.jsonl says which.", made.destroyed,
            ).format(count=made.destroyed)
        )  # fmt: skip
    if made.sm3 is None:
        cli.note(_("checksums-sm3.txt is left out: this Python's OpenSSL has no SM3"))
    cli.say(_("How anybody can check it: {file}").format(file=display(bag / "ledger" / "README.md")))
    return EXIT_DONE


def _wrong(cli: Cli, error: PayloadDiffersError, bag: Path) -> int:
    found: list[dict[str, Any]] = [
        as_json(one.path) | {
            "what": one.what, "expected": None if one.expected is None else one.expected.hex(),
            "found": None if one.found is None else one.found.hex(),
        }
        for one in error.differences
    ]  # fmt: skip
    cli.emit(
        {
            "version": 1, "bag": str(bag), "complete": False, "count": error.count, "differences": found,
            "error": error.as_json(),
        }
    )  # fmt: skip
    cli.note(f"vaultd: {error}")
    for one in error.differences[:MOST_NAMES]:
        cli.note(f"  {one}")
    more = error.count - MOST_NAMES
    if more > 0:
        cli.note("  " + ngettext("and {count} more", "and {count} more", more).format(count=more))
    cli.note(_("hint: {hint}").format(hint=error.hint))
    return error.exit_code
