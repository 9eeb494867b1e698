"""Getting a kit open on the command line: its file or codes, and the custodians' shares, one after the other.

What is typed is shown: custodians read it back from paper, and their sheets lie beside the screen anyway. Nothing of it
goes into a file, a log or the shell's history.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli.base import Cli
from vaultd.errors import ConfigError
from vaultd.i18n import N_, _
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.kit.content import Content
    from vaultd.kit.seal import Sealed
    from vaultd.kit.shares import Share

_LARGEST_SHARE = 4096


@dataclass(frozen=True, slots=True)
class Given:
    """What the options say. ``ask``: what is missing may be asked for."""

    kit: Path | None
    kit_images: tuple[Path, ...]
    share_files: tuple[Path, ...]
    share_images: tuple[Path, ...]
    ignore_expiry: bool
    ask: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """A kit that is open, and the numbers of the shares that opened it."""

    content: Content
    shares: list[int]


def kit_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which a kit and its shares are given."""
    options = [
        click.option("--kit", "kit_file", metavar="FILE", type=_file(),
                     help=N_("The kit's file, <kit>.kit, from a target's server.")),
        click.option("--kit-image", "kit_images", metavar="FILE", multiple=True, type=_file(),
                     help=N_("Or pictures of its codes, from the last page of a sheet.")),
        click.option("--share-file", "share_files", metavar="FILE", multiple=True, type=_file(),
                     help=N_("A file with a share's rows; may be repeated. Otherwise shares are asked for.")),
        click.option("--share-image", "share_images", metavar="FILE", multiple=True, type=_file(),
                     help=N_("A picture of a share's QR code; may be repeated.")),
        click.option("--ignore-expiry", is_flag=True, help=N_("Open a kit whose last day is over.")),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def _file() -> click.Path:
    return click.Path(path_type=Path, exists=True, dir_okay=False)


def given(cli: Cli, values: dict[str, Any], *, batch: bool = False) -> Given:
    """The options, as the command got them; takes them out of ``values``."""
    return Given(
        values.pop("kit_file"), values.pop("kit_images"), values.pop("share_files"), values.pop("share_images"),
        values.pop("ignore_expiry"), not (batch or cli.json),
    )  # fmt: skip


def open_kit(cli: Cli, asked: Given) -> Opened:
    """Get file and shares, and open the kit. Raises KitError, ShareError."""
    from vaultd.kit import register, seal, shares
    from vaultd.kit.faults import KitError

    sealed = _sealed(asked)
    text = _("Kit {kit} of host {host}, made on {made}: {threshold} of {total} shares are needed.")
    numbers = {"threshold": sealed.threshold, "total": sealed.shares}
    cli.note(text.format(kit=sealed.kit, host=sealed.host, made=sealed.created, **numbers))
    if sealed.expired(register.today()) and not asked.ignore_expiry:
        raise KitError(
            _("kit {kit} is not opened").format(kit=sealed.kit),
            _("its last day was {day}").format(day=sealed.expires),
            _("is there a newer one? If not, and if this machine's clock is right: --ignore-expiry"),
        )
    found = _shares(cli, asked, sealed)
    content = seal.unseal(sealed, shares.combine(found))
    return Opened(content, sorted({share.number for share in found}))


def _sealed(asked: Given) -> Sealed:
    from vaultd.kit import codes, seal

    if asked.kit is not None:
        with asked.kit.open("rb") as stream:
            return seal.read(stream.read(seal.LARGEST + 1))
    texts = [text for image in (*asked.kit_images, *asked.share_images) for text in codes.read(image)]
    found = codes.kit_in(texts)
    if found is not None:
        return found
    if not asked.ask:
        raise ConfigError(
            _("recovery kit"), _("its file is not given"), _("--kit FILE, or --kit-image for each of its codes")
        )  # fmt: skip
    path = Path(click.prompt(_("File of the kit (<kit>.kit)"), err=True))
    with path.expanduser().open("rb") as stream:
        return seal.read(stream.read(seal.LARGEST + 1))


def _shares(cli: Cli, asked: Given, sealed: Sealed) -> list[Share]:
    """The shares of files and pictures; what is missing is asked for."""
    from vaultd.kit import codes, shares, spelling
    from vaultd.kit.faults import ShareError

    found: list[Share] = []
    for file in asked.share_files:
        with file.open(encoding="utf-8", errors="replace") as stream:
            found.append(_of(spelling.parse, stream.read(_LARGEST_SHARE), file))
    for image in asked.share_images:
        there = _of(codes.shares_in, codes.read(image), image)
        if not there and codes.kit_in(codes.read(image)) is None:
            raise ShareError(_("picture {file}").format(file=display(image)), _("its code is no share of a kit"))
        found += there
    for share in found:
        _belongs(share, sealed)
    while asked.ask and len({share.number for share in found}) < sealed.threshold:
        found.append(_typed(cli, sealed, found))
    shares.agree(found)
    return found


def _of(read: Callable[[Any], Any], text: Any, file: Path) -> Any:
    """What is read of a file; an error names it."""
    from vaultd.kit.faults import ShareError

    try:
        return read(text)
    except ShareError as error:
        raise ShareError(f"{display(file)}: {error.what}", error.why, error.hint) from None


def _belongs(share: Share, sealed: Sealed) -> None:
    from vaultd.kit.faults import ShareError

    if share.kit != sealed.kit or (share.threshold, share.total) != (sealed.threshold, sealed.shares):
        raise ShareError(
            _("share {number} of kit {other}").format(number=share.number, other=share.kit),
            _("it is of another kit: this one is {kit}, of host {host}").format(kit=sealed.kit, host=sealed.host),
            _("the kit's number is on every sheet, and is the name of the kit's file"),
        )


def _typed(cli: Cli, sealed: Sealed, before: list[Share]) -> Share:
    """One share, row by row: a row that is wrong is said at once and asked for again."""
    from vaultd.kit import spelling
    from vaultd.kit.faults import ShareError

    count = len({share.number for share in before})
    cli.note("")
    cli.note(_("Share {count} of the {needed} that are needed (kit {kit}):").format(
        count=count + 1, needed=sealed.threshold, kit=sealed.kit))  # fmt: skip
    while True:
        rows: list[str] = []
        while len(rows) < spelling.ROWS:
            place = len(rows) + 1
            text = click.prompt(_("row {place}").format(place=place), err=True)
            try:
                spelling.row(text, place)
            except ShareError as error:
                cli.note(f"  {error}")
                continue
            rows.append(text)
        try:
            share = spelling.share_of(rows)
            _belongs(share, sealed)
        except ShareError as error:
            cli.note(f"  {error}")
            if error.hint:
                cli.note("  " + _("hint: {hint}").format(hint=error.hint))
            continue
        if any(one.number == share.number for one in before):
            cli.note("  " + _("Share {number} is there already: another custodian's is needed.").format(
                number=share.number))  # fmt: skip
            continue
        return share
