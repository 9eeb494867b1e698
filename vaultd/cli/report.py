"""``vaultd report audit``: what the ledger says of a period, as pages that can be handed on."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd import i18n
from vaultd.cli import progress
from vaultd.cli.base import Cli, group, pass_cli
from vaultd.cli.ledger import folder_option, ledger_folder
from vaultd.errors import EXIT_DIFFERENCE, EXIT_DONE, ConfigError, DifferenceError, LedgerMissingError
from vaultd.i18n import N_, _
from vaultd.model import Progress
from vaultd.names import display

if TYPE_CHECKING:
    from vaultd.ledger.verify.tree import Progress as Told
    from vaultd.report.heads import Verified
    from vaultd.report.period import Period


@group(
    "report",
    help=N_("Reports that are derived from the ledger alone: the same ledger gives the same bytes."),
    examples=["vaultd report audit --since 2026-01-01 --until 2026-03-31"],
)
def report_group() -> None:
    """Only a name for its commands."""


def _language(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value:
        i18n.choose(value)
    return value


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The files to be written; None: not that one."""

    html: Path | None
    pdf: Path | None


@report_group.command_of(
    "audit",
    help=N_(
        "Report on a period: vaults and achieved recovery points against their objectives, gaps, verification, "
        "anchors, exceptions, alerts, restores, drills, keys, trust, retention, and who did what. From the signed part "
        "of the ledger alone, which is verified first: of one that does not hold there is no report, and the exit code "
        "is 4.\n\n"
        "Without --html and --pdf both are written into this folder. --json prints the figures, and writes only the "
        "files that are named. Names of files are left out unless --names is given."
    ),
    examples=[
        "vaultd report audit --since 2026-01-01 --until 2026-03-31",
        "vaultd report audit --since 2026-11-01 --lang zh_CN --zone +08:00 --pdf /srv/reports/november.pdf",
        "vaultd report audit --since 2026-01-01 --json",
        "vaultd report audit --since 2026-01-01 --ledger /tmp/restored/ledger --html audit.html",
    ],
)
@click.option("--since", required=True, metavar="DATE", help=N_("Not before this moment."))
@click.option("--until", metavar="DATE", help=N_("Not after this moment [default: the newest signed entry]"))
@click.option("--zone", default="Z", metavar="ZONE",
              help=N_("The zone of all moments, such as +08:00 [default: Z, which is UTC]"))  # fmt: skip
@click.option("--lang", type=click.Choice(("en", "zh_CN")), is_eager=True, callback=_language, expose_value=False,
              help=N_("Language of the report; otherwise that of the output."))  # fmt: skip
@click.option("--html", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help=N_("Write HTML here."))
@click.option("--pdf", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help=N_("Write a PDF here."))
@click.option("--names", is_flag=True, help=N_("With the names of files that were an exception."))
@click.option(
    "--unverified",
    is_flag=True,
    help=N_("Report even of a ledger that does not hold; every page says so, and the exit code is 4."),
)
@folder_option
@pass_cli
def audit_command(
    cli: Cli, since: str, until: str | None, zone: str, html: Path | None, pdf: Path | None, names: bool,
    unverified: bool, folder: Path | None,
) -> int:  # fmt: skip
    """Verify, take the figures, and write the pages."""
    from vaultd.report import page
    from vaultd.report import pdf as pdfs
    from vaultd.report.audit import audit
    from vaultd.report.period import zone as zone_of

    where = zone_of(zone)
    begin = _moment(since, "--since", zone)
    end = None if until is None else _moment(until, "--until", zone)
    writes = not cli.json or html is not None or pdf is not None
    for file in (html, pdf):
        if file is not None and not file.parent.is_dir():
            raise ConfigError(
                _("there is no report"), _("there is no folder {folder}").format(folder=display(file.parent))
            )
    if writes:
        page.check()
        if pdf is not None or html is None:
            pdfs.check(i18n.language())
    with progress.display(cli) as shown:
        verified = _verified(ledger_folder(cli, folder), _teller(shown, "ledger"), lenient=unverified)
        period = _period(verified, begin, end, where)
        figures = audit(verified, period, names=names, progress=_teller(shown, "report"))
    files = _write(cli, figures, period, _Wanted(html, pdf)) if writes else []
    cli.emit({**figures, "files": [str(file) for file in files]})
    for file in files:
        cli.say(_("wrote {file}").format(file=display(file)))
    if verified.problem:
        cli.note(f"vaultd: {_('the ledger {folder} does not hold').format(folder=display(verified.folder))}: "
                 f"{verified.problem}")  # fmt: skip
    return EXIT_DIFFERENCE if verified.problem else EXIT_DONE


def _moment(text: str, option: str, zone: str) -> int:
    from vaultd.restore import moment

    zone = "Z" if zone == "UTC" else zone
    return moment.begin(text, option, zone) if option == "--since" else moment.parse(text, option, zone)


def _teller(shown: progress.Display, phase: str) -> Told:
    begun = time.monotonic()

    def tell(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - begun, 0.001)
        left = (total - done) / rate if rate else None
        shown.show([Progress(phase, "", "", "", done, total, 0, 0, 0.0, left)])

    return tell


def _verified(where: Path, tell: Told, *, lenient: bool) -> Verified:
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


def _period(verified: Verified, begin: int, end: int | None, where: Any) -> Period:
    from vaultd.ledger import entry
    from vaultd.ledger.reading import Reader
    from vaultd.report.period import Period
    from vaultd.units import parse_rfc3339

    if end is None:
        newest = entry.decode(Reader(verified.folder).raw(verified.size - 1))
        end = max(parse_rfc3339(newest["t"]), begin)
    if end < begin:
        raise ConfigError(_("there is no report"), _("--until is before --since"))
    return Period(begin, end, where)


def _write(cli: Cli, figures: dict[str, Any], period: Period, wanted: _Wanted) -> list[Path]:
    from vaultd import files
    from vaultd.report import page
    from vaultd.report import pdf as pdfs
    from vaultd.report.period import day

    if wanted.html is None and wanted.pdf is None:
        host = re.sub(r"[^A-Za-z0-9._-]+", "_", str(figures["ledger"]["host"]))[:60]
        name = f"audit-{host}-{day(period.since, period.zone)}-{day(period.until, period.zone)}"
        wanted = _Wanted(Path(f"{name}.html"), Path(f"{name}.pdf"))
    text = page.render(figures, period.zone, i18n.language())
    if wanted.pdf is not None:
        content, lacking = pdfs.make(text, figures["period"]["record_ends"])
        files.replace(wanted.pdf, content, 0o600)
        if lacking:
            cli.note(_("no font here has these characters, the PDF shows boxes for them: {characters}").format(
                characters=" ".join(f"U+{ord(one):04X}" for one in lacking[:40])))  # fmt: skip
    if wanted.html is not None:
        files.replace(wanted.html, text.encode(), 0o600)
    return [file for file in (wanted.html, wanted.pdf) if file is not None]
