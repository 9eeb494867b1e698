"""``vaultd report evacuation`` and ``report drill``: what was after an evacuation or a drill, and drills compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vaultd.cli import progress
from vaultd.cli import report_common as common
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.ledger import ledger_folder
from vaultd.errors import ConfigError
from vaultd.i18n import N_, _


@command(
    "evacuation",
    help=N_(
        "Report on an evacuation or a drill: what happened when, tiers against their objectives, disks with their "
        "signatures, who has answered and how soon, approvals, the playbook, open items, failures, and what is to be "
        "better. From the signed part of the ledger alone, which is verified first: of one that does not hold there is "
        "no report, and the exit code is 4.\n\n"
        "Also of one that still goes on, as far as it has come. Without --html and --pdf both are written into "
        "this folder. --json prints the figures, and writes only the files that are named."
    ),
    examples=[
        "vaultd report evacuation E-2026-001",
        "vaultd report evacuation E-2026-001 --lang zh_CN --zone +08:00 --pdf /srv/reports/fire.pdf",
        "vaultd report evacuation E-2026-001 --json",
    ],
)
@click.argument("id", metavar="ID")
@common.page_options
@pass_cli
def evacuation_command(cli: Cli, **options: Any) -> int:
    """Verify, take the figures, and write the pages."""
    return _one(cli, **options)


@command(
    "drill",
    help=N_(
        "Report on one drill, as report evacuation does; or with --trend compare all drills: time to safe, "
        "acknowledgement times, restored files that differ, faults, and the indicators of each vault. Practised "
        "restores (vaultd drill) are in it too. --csv writes the indicators as a table."
    ),
    examples=[
        "vaultd report drill --trend",
        "vaultd report drill --trend --csv indicators.csv --since 2026-01-01 --zone +08:00",
        "vaultd report drill DRILL-2026-001 --pdf drill.pdf",
    ],
)
@click.argument("id", metavar="[ID]", required=False)
@click.option("--trend", is_flag=True, help=N_("Compare the drills with each other."))
@click.option("--since", metavar="DATE", help=N_("With --trend: none that was ordered before this moment."))
@click.option("--csv", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help=N_("With --trend: write the indicators of each drill and vault here, as a table."))  # fmt: skip
@common.page_options
@pass_cli
def drill_command(cli: Cli, id: str | None, trend: bool, since: str | None, csv: Path | None, **options: Any) -> int:
    """One of them, or all."""
    if trend is (id is not None):
        raise ConfigError(
            _("there is no report"), _("name one drill, or give --trend for all of them"),
            "vaultd report drill --trend",
        )  # fmt: skip
    if id is not None:
        if since is not None or csv is not None:
            raise ConfigError(_("there is no report"), _("--since and --csv go with --trend"))
        return _one(cli, id=id, **options)
    return _trend(cli, since, csv, **options)


def _one(
    cli: Cli, id: str, zone: str, html: Path | None, pdf: Path | None, unverified: bool, folder: Path | None
) -> int:  # fmt: skip
    from vaultd.report.evacuation import evacuation
    from vaultd.report.period import Period
    from vaultd.report.period import zone as zone_of

    wanted, period = common.Wanted(html, pdf), Period(0, 0, zone_of(zone))
    wanted.check(cli)
    with progress.display(cli) as shown:
        found = common.verified(ledger_folder(cli, folder), common.teller(shown, "ledger"), lenient=unverified)
        figures = evacuation(found, id, period, progress=common.teller(shown, "report"))
    kind = "drill" if figures["evacuation"]["drill"] else "evacuation"
    name = f"{kind}-{common.file_name(figures['ledger']['host'])}-{common.file_name(id)}"
    files = common.write(cli, figures, period, wanted, name, "evacuation") if wanted.writes(cli) else []
    return common.finish(cli, figures, files, found)


def _trend(
    cli: Cli, since: str | None, csv: Path | None, zone: str, html: Path | None, pdf: Path | None, unverified: bool,
    folder: Path | None,
) -> int:  # fmt: skip
    from vaultd import files
    from vaultd.report import evacuation_csv
    from vaultd.report.evacuation_trend import trend
    from vaultd.report.period import Period
    from vaultd.report.period import zone as zone_of
    from vaultd.restore import moment

    where, wanted = zone_of(zone), common.Wanted(html, pdf)
    begin = 0 if since is None else moment.begin(since, "--since", "Z" if zone == "UTC" else zone)
    period = Period(begin, 2**63 - 1, where)
    common.check_folder(csv)
    wanted.check(cli)
    with progress.display(cli) as shown:
        found = common.verified(ledger_folder(cli, folder), common.teller(shown, "ledger"), lenient=unverified)
        figures = trend(found, period, progress=common.teller(shown, "report"))
    writes = wanted.writes(cli) and (csv is None or html is not None or pdf is not None)
    name = f"drills-{common.file_name(figures['ledger']['host'])}"
    written = common.write(cli, figures, period, wanted, name, "trend") if writes else []
    if csv is not None:
        files.replace(csv, evacuation_csv.table(figures), 0o600)
        written.append(csv)
    return common.finish(cli, figures, written, found)
