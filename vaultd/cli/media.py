"""``vaultd media``: the register of carriers. Here ``add``, ``change``, ``list``, ``show``; the others are beside."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import media_common as common
from vaultd.cli.base import Cli, group, pass_cli
from vaultd.cli.format import local, number, table
from vaultd.errors import EXIT_DONE, ConfigError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from collections.abc import Callable

    from vaultd.store.mediarows import Medium

STATUSES = ("in-service", "removed", "in-transit", "deposited", "returned", "destroyed")
SHOWN = 200
"""So many media a list has unless it is asked for all."""


@group(
    "media",
    help=N_(
        "The register of classified media (disks, USB sticks, tapes, paper boxes): who has which one now, and who has "
        "signed for it (docs/media.md)."
    ),
    examples=[
        "vaultd media add --custodian 张伟 --classification secret --serial ZC1A2B3C --location 机房A柜3",
        "vaultd media transfer M-2026-00017 --action send --by 张伟 --to 李娜 --place-to 档案馆 --approved-by 王芳",
        "vaultd media list --overdue",
    ],
)
def media_group() -> None:
    """Only a name for its commands."""


media_group.lazy = {
    "label": ("vaultd.cli.media_label:label_command", N_("Print labels with QR codes.")),
    "transfer": ("vaultd.cli.media_move:transfer_command", N_("Hand media from one person, or place, to another.")),
    "check-out": ("vaultd.cli.media_move:check_out_command", N_("Lend media until a day.")),
    "check-in": ("vaultd.cli.media_move:check_in_command", N_("Take back what was lent.")),
    "sign": ("vaultd.cli.media_sign:sign_command", N_("Sign for an event afterwards.")),
    "items": ("vaultd.cli.media_sign:items_command", N_("List what is open.")),
    "scan": ("vaultd.cli.media_room:scan_command", N_("Look up labels as they are scanned.")),
    "audit": ("vaultd.cli.media_room:audit_command", N_("Compare a room with the register.")),
    "destroy": ("vaultd.cli.media_destroy:destroy_group", N_("Request, approve, record and certify destruction.")),
    "stock": ("vaultd.cli.media_stock:stock_group", N_("Seals, cases and spare disks, with check dates.")),
    "import": ("vaultd.cli.media_table:import_command", N_("Take a CSV table into the register.")),
    "export": ("vaultd.cli.media_table:export_command", N_("Write the register as CSV.")),
}


def _fields(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what a medium is."""
    options = [
        click.option("--copy", metavar="NUMBER", help=N_("Copy number (份号).")),
        click.option("--classification", type=click.Choice(common.CLASSIFICATIONS), help=N_("Classification (密级).")),
        click.option("--period", metavar="TEXT", help=N_("Secrecy period (保密期限), such as 20年 or 长期.")),
        click.option("--condition", metavar="TEXT", help=N_("Declassification condition (解密条件).")),
        click.option("--type", "type_", metavar="TEXT", help=N_("What it is: HDD, SSD, USB, tape, paper.")),
        click.option("--make", metavar="TEXT", help=N_("Manufacturer.")),
        click.option("--model", metavar="TEXT", help=N_("Model.")),
        click.option("--serial", metavar="TEXT", help=N_("Serial number.")),
        click.option("--wwn", metavar="TEXT", help=N_("World wide name.")),
        click.option("--capacity", metavar="SIZE", help=N_('Capacity, such as "4 TB".')),
        click.option("--encryption", metavar="TEXT", help=N_("How it is encrypted, such as luks2.")),
        click.option("--custodian", metavar="NAME", help=N_("Who answers for it (责任人).")),
        click.option("--deputy", metavar="NAME", help=N_("Their deputy.")),
        click.option("--host", metavar="NAME", help=N_("The machine that it is in.")),
        click.option("--slot", metavar="TEXT", help=N_("Its bay or slot there.")),
        click.option("--vault", "vaults", metavar="NAME", multiple=True,
                     help=N_("A vault with bytes on it; may be repeated.")),
        click.option("--note", metavar="TEXT", help=N_("Anything else.")),
        click.option("--same-serial", is_flag=True, help=N_("Although another medium has this serial number or WWN.")),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def _given(values: dict[str, Any]) -> dict[str, str | int]:
    """The fields that were given, as the register has them."""
    from vaultd.media import words

    found: dict[str, str | int] = {
        ("type" if name == "type_" else name): value for name, value in values.items()
        if name not in ("vaults", "capacity") and value is not None
    }  # fmt: skip
    if values["capacity"] is not None:
        found["capacity"] = words.capacity(values["capacity"])
    if values["vaults"]:
        found["vaults"] = ",".join(dict.fromkeys(values["vaults"]))
    return found


@media_group.command_of(
    "add",
    help=N_(
        "Register a medium. Without --label it gets the next number of the scheme in the configuration ([media] label)."
    ),
    examples=[
        "vaultd media add --custodian 张伟 --classification secret --type HDD --make Seagate --serial ZC1A2B3C \\",
        "    --capacity '4 TB' --period 20年 --host icu-1 --slot 3 --vault patients --location 机房A柜3",
        "vaultd media add --custodian 李娜 --classification internal --type paper --status deposited --label B-0017",
    ],
)
@click.option("--label", default="", metavar="LABEL", help=N_("Its label number [default: the next one]"))
@click.option("--location", default="", metavar="PLACE", help=N_("Where it is (存放地点)."))
@click.option("--status", type=click.Choice(("in-service", "deposited")), default="in-service", show_default=True,
              help=N_("In a machine, or in a cupboard."))  # fmt: skip
@_fields
@pass_cli
def add_command(cli: Cli, label: str, location: str, status: str, same_serial: bool, **values: Any) -> int:
    """Register it."""
    from vaultd.store.mediarows import Medium

    given = _given(values)
    for name in ("custodian", "classification"):
        if name not in given:
            raise ConfigError(_("vaultd media add"), _("--{name} is missing").format(name=name))
    for name in (given.get("vaults") and str(given["vaults"]).split(",")) or ():
        cli.config().vault_named(name)
    with common.opened(cli) as register:
        added = register.add(
            Medium(**{"label": label, "location": location, "status": status, **given}),  # type: ignore[arg-type]
            same_serial=same_serial,
        )
    cli.emit({"version": 1, "medium": common.medium_json(added)})
    cli.say(_("Registered: {label}").format(label=added.label))
    cli.say(_("Print its label: vaultd media label {label} --out labels.pdf").format(label=added.label))
    return EXIT_DONE


@media_group.command_of(
    "change",
    help=N_(
        "Correct what the register says a medium is. Where it is and who has it changes by transfer, check-out and "
        "check-in only. What changed goes on record."
    ),
    examples=["vaultd media change M-2026-00017 --slot 5 --note 换槽"],
)
@click.argument("label")
@_fields
@pass_cli
def change_command(cli: Cli, label: str, same_serial: bool, **values: Any) -> int:
    """Change it."""
    given = _given(values)
    if not given:
        raise ConfigError(_("vaultd media change"), _("nothing is to be changed"))
    with common.opened(cli) as register:
        changed = register.change(label, given, same_serial=same_serial)
        found = register.find(label)
    cli.emit({"version": 1, "medium": common.medium_json(found), "changed": changed})
    cli.say(_("Changed: {fields}").format(fields=", ".join(changed)) if changed else _("Nothing changed."))
    return EXIT_DONE


@media_group.command_of(
    "list",
    help=N_("List media by their labels: all, or those that match. At most 200 are shown, unless --all is given."),
    examples=[
        "vaultd media list --status deposited --location 库房2",
        "vaultd media list --text ZC1A2B3C",
        "vaultd --json media list --out",
    ],
)
@click.option("--text", default="", metavar="TEXT", help=N_("With this in label, serial, model, person, place, note."))
@click.option("--status", type=click.Choice(STATUSES), help=N_("With this status."))
@click.option("--classification", type=click.Choice(common.CLASSIFICATIONS), help=N_("With this classification."))
@click.option("--custodian", metavar="NAME", help=N_("That this person answers for."))
@click.option("--location", metavar="PLACE", help=N_("At this place."))
@click.option("--type", "type_", metavar="TEXT", help=N_("Of this type."))
@click.option("--vault", default="", metavar="NAME", help=N_("With bytes of this vault."))
@click.option("--out", is_flag=True, help=N_("Checked out."))
@click.option("--overdue", is_flag=True, help=N_("Checked out, and not back in time."))
@click.option("--trouble", is_flag=True, help=N_("Missing, or in the wrong place."))
@click.option("--all", "everything", is_flag=True, help=N_("All of them, however many."))
@pass_cli
def list_command(
    cli: Cli, text: str, status: str | None, classification: str | None, custodian: str | None, location: str | None,
    type_: str | None, vault: str, out: bool, overdue: bool, trouble: bool, everything: bool,
) -> int:  # fmt: skip
    """From the state database, without the rest of the configuration."""
    given = {
        "status": status, "classification": classification, "custodian": custodian, "location": location, "type": type_,
    }  # fmt: skip
    equal = {name: value for name, value in given.items() if value is not None}
    before = time.time_ns() if overdue else None
    found: list[Medium] = []
    count = 0
    with common.reading(cli) as store:
        if store is not None:
            with store.one_moment():
                found = list(
                    store.media(equal=equal, text=text, vault=vault, out=out, overdue_at=before, trouble=trouble,
                                limit=-1 if everything else SHOWN)
                )  # fmt: skip
                count = len(found)
                if count == SHOWN and not everything:
                    count = store.count_media(
                        equal=equal, text=text, vault=vault, out=out, overdue_at=before, trouble=trouble
                    )
    cli.emit({"version": 1, "count": count, "media": [common.medium_json(one) for one in found] if cli.json else []})
    if cli.json:
        return EXIT_DONE
    cli.say(_table(found) if found else _("No such medium."))
    if count > len(found):
        text = _("{shown} of {count}: narrow it down, or give --all.")
        cli.note(text.format(shown=number(len(found)), count=number(count)))
    return EXIT_DONE


def _table(found: list[Medium]) -> str:
    from vaultd.cli.render_status import CLASSIFICATIONS
    from vaultd.media.machine import STATUS_WORDS

    statuses = {key: _(text) for key, text in STATUS_WORDS.items()}
    secrets = {key: _(text) for key, text in CLASSIFICATIONS.items()}
    head = (
        _("label"), _("classification"), _("type"), _("model"), _("serial"), _("status"), _("who has it"), _("place"),
    )  # fmt: skip
    rows = [
        (
            one.label, secrets[one.classification], one.type, one.model, one.serial, statuses[one.status], one.holder,
            _place(one),
        )
        for one in found
    ]  # fmt: skip
    return table(head, rows)


def _place(medium: Medium) -> str:
    if medium.due is not None:
        return _("out until {day}").format(day=local(medium.due)[:10])
    if medium.bound_for:
        return _("on its way to {place}").format(place=medium.bound_for)
    return medium.location


@media_group.command_of(
    "show",
    help=N_("Show a medium: what it is, where, who has it, and everything that has happened to it."),
    examples=["vaultd media show M-2026-00017"],
)
@click.argument("label")
@pass_cli
def show_command(cli: Cli, label: str) -> int:
    """From the state database."""
    from vaultd.cli import media_show

    return media_show.show(cli, label)
