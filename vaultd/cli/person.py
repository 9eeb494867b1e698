"""``vaultd person list|accept``: who is accepted, and accepting who is new or was changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vaultd.cli import approvals_common as common
from vaultd.cli.base import Cli, group, pass_cli
from vaultd.cli.format import table
from vaultd.errors import EXIT_DONE, ConfigError
from vaultd.i18n import N_, _

STATES = {"accepted": N_("accepted"), "waiting": N_("waits for a director"), "gone": N_("gone")}


@group(
    "person",
    help=N_(
        "The persons of the configuration ([[person]]), and whether they count: who is new or was changed cannot "
        "approve anything until a director who is accepted has signed for them."
    ),
    examples=["vaultd person list", "vaultd person accept 王芳 --key ~/.ssh/id_ed25519"],
)
def person_group() -> None:
    """Only a name for its commands."""


@person_group.command_of(
    "list",
    help=N_("List the persons, their roles, and whether they are accepted."),
    examples=["vaultd person list", "vaultd --json person list"],
)
@pass_cli
def list_command(cli: Cli) -> int:
    """The configuration beside the state; nothing is changed."""
    from vaultd.approvals import persons
    from vaultd.store import Store

    config, known, enforced = cli.config(), dict[str, Any](), False
    if cli.places().database.exists():
        store = Store(cli.places().database, read_only=True)
        try:
            known = dict(store.persons()) if store.has_approvals() else {}
            enforced = persons.enforced(store)
        finally:
            store.close()
    found = [_person_json(persons.state_of(one, known), one, known.get(one.name), persons) for one in config.person]
    named = {one.name for one in config.person}
    found += [
        {"name": row.name, "state": "gone", "role": "", "roles": row.roles.split(",") if row.roles else [], "user": "",
         "key": row.fingerprint, "telephone": "", "accepted_by": None}
        for row in known.values() if row.name not in named
    ]  # fmt: skip
    cli.emit({"version": 1, "enforced": enforced, "persons": found})
    rows = [
        (one["name"], ", ".join(one["roles"]) or one["role"], one["user"], _(STATES[one["state"]]), one["key"])
        for one in found
    ]  # fmt: skip
    cli.say(table((_("name"), _("roles"), _("account"), _("state"), _("key")), rows) if rows else _("No [[person]]."))
    if not enforced:
        cli.note(_("No director was accepted yet: nothing needs approval, root decides alone."))
    return EXIT_DONE


def _person_json(state: str, one: Any, row: Any, persons: Any) -> dict[str, Any]:
    return {
        "name": one.name, "state": state, "role": one.role, "roles": list(one.roles), "user": one.user,
        "key": persons.fingerprint(one), "telephone": one.telephone,
        "accepted_by": row.accepted_by if row is not None and state == "accepted" else None,
    }  # fmt: skip


@person_group.command_of(
    "accept",
    help=N_(
        "Accept a person as the configuration has them now, with the SSH key of a director who is accepted already. "
        "Nobody accepts themselves.\n\n"
        "Where no director is left who could sign (the only key is lost), root accepts by a sheet of paper that says "
        "who has decided: --sheet. It is on record as such, and an alert."
    ),
    examples=[
        "vaultd person accept 王芳 --key ~/.ssh/id_ed25519",
        "vaultd person accept 王芳 --print > request",
        "vaultd person accept 王芳 --signature request.sig",
        "vaultd person accept 赵院长 --sheet 2026-61",
    ],
)
@click.argument("person", metavar="NAME")
@common.signing_options
@click.option("--sheet", default="", metavar="NUMBER", help=N_("Where no director is left: the sheet of paper."))
@pass_cli
def accept_command(
    cli: Cli, person: str, key: Path | None, signature: Path | None, name: str, only_print: bool, sheet: str
) -> int:
    """Sign for them; by the same request as ``vaultd approve`` would."""
    from vaultd import approvals
    from vaultd.approvals import accepting
    from vaultd.cli.approve import tell
    from vaultd.custody import caller

    config = cli.config()
    if sheet.strip():
        if key is not None or signature is not None or only_print:
            raise ConfigError("--sheet", _("it goes without --key, --signature and --print"))
        with common.opened(cli) as store:
            accepting.accept_on_paper(config, store, person, sheet.strip())
        cli.emit({"version": 1, "person": person, "sheet": sheet.strip()})
        cli.say(_("{name} is accepted, by the sheet {sheet}: that is on record, and an alert.").format(
            name=person, sheet=sheet.strip()))  # fmt: skip
        return EXIT_DONE
    sign = None if only_print else common.signer(cli, key, signature, name)
    with common.opened(cli) as store:
        one = accepting.ask(config, store, person, approvals.caller(config))
        if sign is None:
            common.print_statement(cli, one.as_json())
            return EXIT_DONE
        done = approvals.approve(config, store, one.number, sign, caller(), name)
    tell(cli, done.as_json())
    if done.row.state == "used":
        cli.say(_("{name} is accepted.").format(name=person))
    return EXIT_DONE
