"""``vaultd forget``: apply a vault's policy; or, with --path, take records out of all of its snapshots."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vaultd.cli import permission, places
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.errors import EXIT_DIFFERENCE, EXIT_DONE, EXIT_FAILED, EXIT_PARTIAL, ConfigError, VaultdError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.retain.forget import Done, Plan
    from vaultd.retain.place import Place
    from vaultd.store import Store


@command(
    "forget",
    help=N_(
        "Show which snapshots of a vault would go by its retention policy ([vault.retention]), and why; with --yes, "
        "remove them. The newest full snapshot always stays. What stays is checked: a sample of the files is read back "
        "and compared with the ledger. "
        "Data that nothing needs any more is cleared away with --prune.\n\n"
        "With --path, destroy records instead: these files or folders are taken out of all snapshots of the vault and "
        "their data is cleared away; a certificate says so.\n\n"
        "It is refused while an alert of a mass change stands, and where snapshots have dates that cannot be true. "
        "It needs root, and the approvals of [approvals] forget. The daemon waits meanwhile."
    ),
    examples=[
        "vaultd forget patients",
        "vaultd forget patients --target offsite --yes --prune",
        "vaultd forget patients --yes --identity ./remove.key --password-file ./remove.password",
        "vaultd forget patients --path wards/3/list.ods --reason 'declassified 2026-114' --yes",
    ],
)
@click.argument("vault")
@click.option("--target", metavar="NAME", help=N_("Only at this target [default: all of the vault's]"))
@click.option("--yes", is_flag=True, help=N_("Do it, without a question."))
@click.option("--prune", is_flag=True, help=N_("Clear the data away too, now."))
@click.option("--keep-odd", is_flag=True, help=N_("Keep snapshots with dates that cannot be true, and go on."))
@click.option("--no-alert-check", is_flag=True,
              help=N_("On another host, where its alerts cannot be seen: I have looked at them there."))  # fmt: skip
@click.option("--path", "paths", multiple=True, metavar="P", type=click.Path(),
              help=N_("Destroy this file or folder, relative to the vault; may be repeated."))  # fmt: skip
@click.option("--reason", default="", metavar="TEXT", help=N_("Why records are destroyed; it is on the certificate."))
@click.option("--even-if-there", is_flag=True,
              help=N_("Although they are still in the vault's folder: they will come back."))  # fmt: skip
@click.option("--certificate", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help=N_("Where to write the certificate [default: certificates/ in the state folder]"))  # fmt: skip
@places.credential_options
@pass_cli
def forget_command(
    cli: Cli, vault: str, target: str | None, paths: tuple[str, ...], reason: str, certificate: Path | None,
    identity: Path | None, password_file: Path | None, **choices: bool,
) -> int:  # fmt: skip
    """Look at every target first, then ask, then remove."""
    places.require_owner(cli)
    if not paths and (reason or certificate or choices["even_if_there"]):
        raise ConfigError(_("vaultd forget"), _("--reason, --certificate and --even-if-there belong to --path"))
    with places.opened(cli) as store:
        if store is None and not choices["no_alert_check"]:
            raise ConfigError(
                _("nothing of vault {vault} is forgotten").format(vault=vault),
                _("this host has no state, so nobody can see here whether a mass change was noticed"),
                _("look at `vaultd alert list` on the vault's own host, then give --no-alert-check"),
            )
        with places.places(cli, vault, target, store, identity, password_file) as found:
            if paths:
                from vaultd.cli.destroy import destroy

                return destroy(cli, found, store, [os.fsencode(path) for path in paths], reason, certificate, choices)
            return _by_policy(cli, found, store, choices)


def _by_policy(cli: Cli, found: Sequence[Place], store: Store | None, choices: dict[str, bool]) -> int:
    from vaultd.cli.render_retain import render_done, render_plan, target_json

    plans, errors = _look_at_all(found)
    for place, plan in plans:
        cli.say(render_plan(place, plan))
    anything = choices["prune"] or any(plan.ids for _place, plan in plans)
    agreed = choices["yes"] or (
        anything and places.confirmed(cli, found[0].vault, _("What goes cannot be brought back."))
    )
    done = _carry_out_all(cli, store, plans, errors, choices) if agreed else {}
    cli.emit(
        {
            "version": 1, "vault": found[0].vault, "applied": agreed,
            "targets": [target_json(place, plan, done.get(place.target.name)) for place, plan in plans],
            "errors": [{"target": name, "error": error.as_json()} for name, error in errors.items()],
        }
    )  # fmt: skip
    for name, one in done.items():
        cli.say(render_done(name, one))
    if anything and not agreed:
        cli.note(_("Nothing was changed. With --yes it is done."))
    places.tell(cli, errors)
    return _exit_code(done, errors, agreed=agreed)


def _look_at_all(found: Sequence[Place]) -> tuple[list[tuple[Place, Plan]], dict[str, VaultdError]]:
    """What would go at each target. Raises when none can be looked at."""
    from vaultd.retain.forget import look

    plans: list[tuple[Place, Plan]] = []
    errors: dict[str, VaultdError] = {}
    for place in found:
        try:
            plans.append((place, asyncio.run(look(place))))
        except VaultdError as error:
            errors[place.target.name] = error
    if not plans:
        raise next(iter(errors.values()))
    return plans, errors


def _carry_out_all(
    cli: Cli, store: Store | None, plans: Sequence[tuple[Place, Plan]], errors: dict[str, VaultdError],
    choices: dict[str, bool],
) -> dict[str, Done]:  # fmt: skip
    """Refuse first, at every target; then do it, at each as far as it goes."""
    from vaultd.retain.forget import refuse_odd
    from vaultd.retain.select import policy_digest

    for place, plan in plans:
        place.refuse_while_alarmed()
        if not choices["keep_odd"]:
            refuse_odd(place, plan.choice.odd)
    if choices["prune"] or any(plan.ids for _place, plan in plans):
        # By the policy and not by ids: which snapshots it names is another thing an hour later.
        first = plans[0][0]
        permission.needed(cli, store, "forget", {
            "vault": first.vault, "targets": sorted(place.target.name for place, _plan in plans),
            "policy": policy_digest(first.policy).hex(), "prune": choices["prune"], "keep_odd": choices["keep_odd"],
        })  # fmt: skip
    done: dict[str, Done] = {}
    for place, plan in plans:
        try:
            done[place.target.name] = asyncio.run(_at_target(cli, place, store, plan, choices))
        except VaultdError as error:
            errors[place.target.name] = error
    return done


async def _at_target(cli: Cli, place: Place, store: Store | None, plan: Plan, choices: dict[str, bool]) -> Done:
    from vaultd.cli.turn import turn
    from vaultd.retain.forget import carry_out, look, refuse_odd

    async with turn(cli, place.target.name, store):
        again = await look(place)  # what came meanwhile counts too; but nothing goes that was not shown
        if not choices["keep_odd"]:
            refuse_odd(place, again.choice.odd)
        shown = set(plan.ids)
        return await carry_out(place, again.only(shown), prune=choices["prune"])


def _exit_code(done: dict[str, Done], errors: dict[str, VaultdError], *, agreed: bool) -> int:
    if any(one.faults for one in done.values()):
        return EXIT_DIFFERENCE
    if errors and agreed and not done:
        codes = {error.exit_code for error in errors.values()}
        return codes.pop() if len(codes) == 1 else EXIT_FAILED
    if errors or any(one.left for one in done.values()):
        return EXIT_PARTIAL
    return EXIT_DONE
