"""``vaultd report audit``: what the ledger says of a period, as pages that can be handed on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import progress
from vaultd.cli import report_common as common
from vaultd.cli.base import Cli, group, pass_cli
from vaultd.cli.ledger import ledger_folder
from vaultd.errors import ConfigError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.report.heads import Verified
    from vaultd.report.period import Period


@group(
    "report",
    help=N_("Reports that are derived from the ledger alone: the same ledger gives the same bytes."),
    examples=[
        "vaultd report audit --since 2026-01-01 --until 2026-03-31",
        "vaultd report evacuation E-2026-001",
        "vaultd report drill --trend",
    ],
)
def report_group() -> None:
    """Only a name for its commands."""


report_group.lazy = {
    "evacuation": ("vaultd.cli.report_evacuation:evacuation_command",
                   N_("Report on an evacuation or a drill, from the order to the open items.")),
    "drill": ("vaultd.cli.report_evacuation:drill_command", N_("Report on a drill, or compare all of them.")),
}  # fmt: skip


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
@click.option("--names", is_flag=True, help=N_("With the names of files that were an exception."))
@common.page_options
@pass_cli
def audit_command(
    cli: Cli, since: str, until: str | None, zone: str, html: Path | None, pdf: Path | None, names: bool,
    unverified: bool, folder: Path | None,
) -> int:  # fmt: skip
    """Verify, take the figures, and write the pages."""
    from vaultd.report.audit import audit
    from vaultd.report.period import day
    from vaultd.report.period import zone as zone_of

    where, wanted = zone_of(zone), common.Wanted(html, pdf)
    begin = _moment(since, "--since", zone)
    end = None if until is None else _moment(until, "--until", zone)
    wanted.check(cli)
    with progress.display(cli) as shown:
        found = common.verified(ledger_folder(cli, folder), common.teller(shown, "ledger"), lenient=unverified)
        period = _period(found, begin, end, where)
        figures = audit(found, period, names=names, progress=common.teller(shown, "report"))
    host = common.file_name(figures["ledger"]["host"])
    name = f"audit-{host}-{day(period.since, period.zone)}-{day(period.until, period.zone)}"
    files = common.write(cli, figures, period, wanted, name, "audit") if wanted.writes(cli) else []
    return common.finish(cli, figures, files, found)


def _moment(text: str, option: str, zone: str) -> int:
    from vaultd.restore import moment

    zone = "Z" if zone == "UTC" else zone
    return moment.begin(text, option, zone) if option == "--since" else moment.parse(text, option, zone)


def _period(found: Verified, begin: int, end: int | None, where: Any) -> Period:
    from vaultd.ledger import entry
    from vaultd.ledger.reading import Reader
    from vaultd.report.period import Period
    from vaultd.units import parse_rfc3339

    if end is None:
        newest = entry.decode(Reader(found.folder).raw(found.size - 1))
        end = max(parse_rfc3339(newest["t"]), begin)
    if end < begin:
        raise ConfigError(_("there is no report"), _("--until is before --since"))
    return Period(begin, end, where)
