"""``vaultd media scan|audit``: what a scanner, a camera or a keyboard says, against the register."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from vaultd.cli import media_common as common
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DIFFERENCE, EXIT_DONE
from vaultd.i18n import N_, _
from vaultd.names import display

_LONGEST_LINE = 4096
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def _scanned(labels: tuple[str, ...], images: tuple[Path, ...], file: Path | None) -> Iterator[str]:
    """Labels from arguments, pictures, a file of lines; from standard input, where there is none of these."""
    from vaultd.paper import codes

    yield from labels
    for image in images:
        yield from codes.read_all(image)
    if file is not None:
        yield from _lines(file.read_bytes())
    elif not labels and not images:
        for raw in iter(lambda: sys.stdin.buffer.readline(_LONGEST_LINE), b""):
            yield from _lines(raw)


def _lines(raw: bytes) -> Iterable[str]:
    return (line.strip() for line in raw.decode("utf-8-sig", "backslashreplace").splitlines() if line.strip())


@command(
    "scan",
    help=N_(
        "Look up labels: typed, from a scanner that types them (a line each, on standard input), or from pictures of "
        "their QR codes. With --place it goes into the register that they were seen there. A label of another site is "
        "called so; exit code 4 when one is in no register here."
    ),
    examples=[
        "vaultd media scan M-2026-00017",
        "vaultd media scan --image photo.jpg --place 库房2",
        "vaultd media scan < scanner.txt",
    ],
)
@click.argument("labels", metavar="[LABEL]...", nargs=-1)
@click.option("--image", "images", metavar="FILE", multiple=True, type=_FILE, help=N_("A picture with codes."))
@click.option("--place", default="", metavar="PLACE", help=N_("They were seen here."))
@pass_cli
def scan_command(cli: Cli, labels: tuple[str, ...], images: tuple[Path, ...], place: str) -> int:
    """One line for each."""
    from vaultd.media import walk
    from vaultd.media.faults import MediaError
    from vaultd.media.register import described

    told: list[dict[str, Any]] = []
    wrong = 0
    with common.opened(cli) as register:
        for text in _scanned(labels, images, None):
            try:
                medium = walk.sight(register, text, place) if place else register.find(text)
            except MediaError as error:
                wrong += 1
                told.append({"scanned": display(text), "medium": None, "error": error.as_json()})
                cli.note(f"{error}")
                continue
            told.append({"scanned": display(text), "medium": common.medium_json(medium), "error": None})
            where = medium.location or _("on its way to {place}").format(place=medium.bound_for)
            cli.say(_("{medium}: {where}, with {who}").format(
                medium=described(medium), where=where, who=medium.holder or "-"))  # fmt: skip
    cli.emit({"version": 1, "scanned": told, "unknown": wrong})
    return EXIT_DIFFERENCE if wrong else EXIT_DONE


@command(
    "audit",
    help=N_(
        "Walk through a room: scan what is there, and see what is missing, foreign, or in the wrong place. Labels come "
        "from a scanner (a line each, on standard input; end with Ctrl-D), from a file of lines, or from pictures. "
        "What was found counts as seen; the result goes on record. Exit code 4 when something is not as registered."
    ),
    examples=[
        "vaultd media audit 库房2",
        "vaultd media audit 库房2 --file scanned.txt",
        "vaultd media audit 库房2 --image shelf1.jpg --image shelf2.jpg",
    ],
)
@click.argument("place")
@click.option("--file", metavar="FILE", type=_FILE, help=N_("Scanned labels, a line each."))
@click.option("--image", "images", metavar="FILE", multiple=True, type=_FILE, help=N_("A picture with codes."))
@pass_cli
def audit_command(cli: Cli, place: str, file: Path | None, images: tuple[Path, ...]) -> int:
    """Compare."""
    from vaultd.media import walk
    from vaultd.media.register import described

    with common.opened(cli) as register:
        scanned = list(_scanned((), images, file))
        found = walk.audit(register, place, scanned)
    cli.emit({
        "version": 1, "place": found.place, "whole": found.whole, "found": [one.label for one in found.found],
        "missing": [common.medium_json(one) for one in found.missing],
        "misplaced": [common.medium_json(one) for one in found.misplaced],
        "foreign": found.foreign, "out": [one.label for one in found.out],
    })  # fmt: skip
    cli.say(_("Found: {count}").format(count=len(found.found)))
    for text, media in (
        (_("Missing: {medium}"), found.missing), (_("Belongs elsewhere: {medium}"), found.misplaced),
        (_("Checked out: {medium}"), found.out),
    ):  # fmt: skip
        for one in media:
            cli.say(
                text.format(medium=described(one))
                + (f" ({one.location or one.status})" if one in found.misplaced else "")
            )
    for label in found.foreign:
        cli.say(_("In no register here: {label}").format(label=label))
    return EXIT_DONE if found.whole else EXIT_DIFFERENCE
