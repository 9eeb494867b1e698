"""What the commands of ``vaultd report`` share: the options, the ledger that is verified first, the files."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd import i18n
from vaultd.cli import progress
from vaultd.cli.ledger import folder_option
from vaultd.errors import EXIT_DIFFERENCE, EXIT_DONE, ConfigError, DifferenceError, LedgerMissingError
from vaultd.i18n import N_, _
from vaultd.model import Progress
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.cli.base import Cli
    from vaultd.ledger.verify.tree import Progress as Told
    from vaultd.report.heads import Verified
    from vaultd.report.period import Period


def _language(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value:
        i18n.choose(value)
    return value


def page_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What all reports take: ``--zone``, ``--lang``, ``--html``, ``--pdf``, ``--unverified``, ``--ledger``."""
    file = click.Path(path_type=Path, dir_okay=False)
    options = [
        click.option("--zone", default="Z", metavar="ZONE",
                     help=N_("The zone of all moments, such as +08:00 [default: Z, which is UTC]")),
        click.option("--lang", type=click.Choice(("en", "zh_CN")), is_eager=True, callback=_language,
                     expose_value=False, help=N_("Language of the report; otherwise that of the output.")),
        click.option("--html", metavar="FILE", type=file, help=N_("Write HTML here.")),
        click.option("--pdf", metavar="FILE", type=file, help=N_("Write a PDF here.")),
        click.option("--unverified", is_flag=True,
                     help=N_("Report even of a ledger that does not hold; "
                             "every page says so, and the exit code is 4.")),
        folder_option,
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class Wanted:
    """The files to be written; None: not that one."""

    html: Path | None
    pdf: Path | None

    def writes(self, cli: Cli) -> bool:
        """Whether a file is to be written: with ``--json`` only one that is named."""
        return not cli.json or self.html is not None or self.pdf is not None

    def check(self, cli: Cli) -> None:
        """Raise ConfigError for a folder that is not there, MissingPartError where a page cannot be made: before long
        work for it."""
        from vaultd.report import page
        from vaultd.report import pdf as pdfs

        for file in (self.html, self.pdf):
            check_folder(file)
        if self.writes(cli):
            page.check()
            if self.pdf is not None or self.html is None:
                pdfs.check(i18n.language())


def check_folder(file: Path | None) -> None:
    """Raise ConfigError for a file in a folder that is not there."""
    if file is not None and not file.parent.is_dir():
        raise ConfigError(_("there is no report"), _("there is no folder {folder}").format(folder=display(file.parent)))


def teller(shown: progress.Display, phase: str) -> Told:
    """What tells of the progress of a phase."""
    begun = time.monotonic()

    def tell(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - begun, 0.001)
        left = (total - done) / rate if rate else None
        shown.show([Progress(phase, "", "", "", done, total, 0, 0, 0.0, left)])

    return tell


def verified(where: Path, tell: Told, *, lenient: bool) -> Verified:
    """A ledger that holds, or with ``lenient`` what its checkpoint says. Raises DifferenceError, LedgerError."""
    from vaultd.ledger.verify import Finding, verify
    from vaultd.report.heads import Verified

    if not where.is_dir():
        raise LedgerMissingError(_("there is no ledger"), display(where), _("make it: `vaultd ledger init`"))
    try:
        found = verify(where, on_progress=tell)
    except Finding as finding:
        if not lenient:
            raise DifferenceError(
                _("there is no report"),
                _("the ledger {folder} does not hold: {finding}").format(folder=display(where), finding=finding.what),
                _("{meaning}. To report all the same, marked on every page: --unverified").format(
                    meaning=finding.meaning
                ),
            ) from finding
        return _as_it_says(where, finding.what)
    return Verified(where, found.origin, found.size, found.root, found.unsigned)


def _as_it_says(where: Path, problem: str) -> Verified:
    """A ledger that does not hold, as far as its newest checkpoint can be read. Raises LedgerError."""
    from vaultd.ledger.reading import Reader
    from vaultd.report.heads import Verified

    reader = Reader(where)
    return Verified(where, reader.signed.origin, reader.signed.size, reader.signed.root, 0, problem)


def file_name(text: object) -> str:
    """A text as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", str(text))[:60]


def write(
    cli: Cli, figures: dict[str, Any], period: Period, wanted: Wanted, name: str, kind: str
) -> list[Path]:  # fmt: skip
    """Write the pages, as NAME.html and NAME.pdf here where no file is named; gives them. ``kind``: the template."""
    from vaultd import files
    from vaultd.report import page
    from vaultd.report import pdf as pdfs

    if wanted.html is None and wanted.pdf is None:
        wanted = Wanted(Path(f"{name}.html"), Path(f"{name}.pdf"))
    text = page.render(figures, period.zone, i18n.language(), kind)
    if wanted.pdf is not None:
        content, lacking = pdfs.make(text, figures["period"]["record_ends"])
        files.replace(wanted.pdf, content, 0o600)
        if lacking:
            cli.note(_("no font here has these characters, the PDF shows boxes for them: {characters}").format(
                characters=" ".join(f"U+{ord(one):04X}" for one in lacking[:40])))  # fmt: skip
    if wanted.html is not None:
        files.replace(wanted.html, text.encode(), 0o600)
    return [file for file in (wanted.html, wanted.pdf) if file is not None]


def finish(cli: Cli, figures: dict[str, Any], files: list[Path], found: Verified) -> int:
    """Say what was written, and that a ledger does not hold; the exit code."""
    cli.emit({**figures, "files": [str(file) for file in files]})
    for file in files:
        cli.say(_("wrote {file}").format(file=display(file)))
    if found.problem:
        cli.note(f"vaultd: {_('the ledger {folder} does not hold').format(folder=display(found.folder))}: "
                 f"{found.problem}")  # fmt: skip
    return EXIT_DIFFERENCE if found.problem else EXIT_DONE
