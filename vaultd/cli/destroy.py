"""``vaultd forget --path``: destroy records in all snapshots, with a certificate."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaultd import files
from vaultd.cli import permission, places
from vaultd.cli.base import Cli
from vaultd.cli.format import number, size
from vaultd.cli.render_retain import check_json, render_check
from vaultd.errors import EXIT_DIFFERENCE, EXIT_DONE, EXIT_PARTIAL, ConfigError, VaultdError
from vaultd.i18n import _
from vaultd.ledger.events import RecordsDestroyed
from vaultd.names import as_json, display

if TYPE_CHECKING:
    from vaultd.retain.destroy import Destroyed
    from vaultd.retain.place import Place
    from vaultd.store import Store


def destroy(
    cli: Cli, found: Sequence[Place], store: Store | None, paths: Sequence[bytes], reason: str,
    certificate: Path | None, choices: dict[str, bool],
) -> int:  # fmt: skip
    """Count at every target first, then ask, then do it, then certify what was done."""
    from vaultd.retain.destroy import refuse_live, wanted_paths

    first = found[0]
    if not first.root:
        raise ConfigError(_("vaultd forget --path"), _("{vault} is vaultd's own").format(vault=first.vault))
    if not reason.strip() or not reason.isprintable():
        raise ConfigError(_("vaultd forget --path"), _("there must be a reason, on one line"), _("add --reason TEXT"))
    if choices["prune"] or choices["keep_odd"]:
        raise ConfigError(_("vaultd forget --path"), _("--prune and --keep-odd do not belong to it: it always prunes"))
    wanted = wanted_paths(first.root, paths)
    if not choices["even_if_there"]:
        refuse_live(first.root, wanted)
    first.refuse_while_alarmed()
    file = _new_file(cli, certificate, first.vault)
    counts = _counted(cli, found, store, wanted)
    agreed = choices["yes"] or places.confirmed(cli, first.vault, _("What is destroyed cannot be brought back."))
    done: list[Destroyed] = []
    errors: dict[str, VaultdError] = {}
    if agreed:
        permission.needed(cli, store, "forget", {
            "vault": first.vault, "targets": sorted(place.target.name for place in found),
            "paths": [as_json(path) for path in wanted], "reason": reason,
        })  # fmt: skip
        for place in found:
            try:
                done.append(asyncio.run(_at_target(cli, place, store, wanted)))
            except VaultdError as error:
                errors[place.target.name] = error
        if not done:
            raise next(iter(errors.values()))
        _certify(found, wanted, reason, done, list(errors), file)
    cli.emit(
        {
            "version": 1, "vault": first.vault, "applied": agreed, "paths": [as_json(path) for path in wanted],
            "targets": [
                {"target": name, "snapshots": all_of_them, "held": held} for name, (held, all_of_them) in counts.items()
            ],
            "destroyed": [_json(one) for one in done], "certificate": str(file) if done else None,
            "errors": [{"target": name, "error": error.as_json()} for name, error in errors.items()],
        }
    )  # fmt: skip
    _say(cli, done, file, agreed=agreed)
    places.tell(cli, errors)
    if any(one.check is not None and not one.check.good for one in done):
        return EXIT_DIFFERENCE
    return EXIT_PARTIAL if errors else EXIT_DONE


def _new_file(cli: Cli, certificate: Path | None, vault: str) -> Path:
    """Where the certificate goes. Raises ConfigError when something is there."""
    if certificate is None:
        folder = cli.places().state / "certificates"
        certificate = folder / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{vault}.txt"
    elif not certificate.absolute().parent.is_dir():
        raise ConfigError(_("--certificate {file}").format(file=certificate), _("its folder is not there"))
    if certificate.exists():
        raise ConfigError(_("--certificate {file}").format(file=certificate), _("there is something already"))
    return certificate


def _counted(
    cli: Cli, found: Sequence[Place], store: Store | None, wanted: Sequence[bytes]
) -> dict[str, tuple[int, int]]:
    from vaultd.cli.turn import turn
    from vaultd.retain.destroy import count

    async def go(place: Place) -> tuple[int, int]:
        async with turn(cli, place.target.name, store):
            return await count(place, wanted)

    counts = dict[str, tuple[int, int]]()
    for place in found:
        held, snapshots = counts[place.target.name] = asyncio.run(go(place))
        cli.say(
            _("{vault} at {target}: {held} of {all} snapshots hold it").format(
                vault=place.vault, target=place.target.name, held=number(held), all=number(snapshots)
            )
        )
    return counts


async def _at_target(cli: Cli, place: Place, store: Store | None, wanted: Sequence[bytes]) -> Destroyed:
    from vaultd.cli.turn import turn
    from vaultd.retain.destroy import destroy as carry_out

    async with turn(cli, place.target.name, store):
        return await carry_out(place, wanted)


def _certify(
    found: Sequence[Place], wanted: tuple[bytes, ...], reason: str, done: Sequence[Destroyed], failed: Sequence[str],
    file: Path,
) -> None:  # fmt: skip
    from vaultd.retain.certificate import Act, digest_of, new_salt, render

    first, salt = found[0], new_salt()
    act = Act(first.host, first.vault, wanted, reason, first.who, time.time_ns(), done, failed)
    text = render(act, salt).encode("utf-8", "backslashreplace")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.create_exclusive(file, text)
    for one in done:
        first.record(
            RecordsDestroyed(
                first.vault, one.target, [digest_of(salt, path) for path in wanted], salt, one.before, one.held,
                one.after, one.files, reason, first.who, hashlib.sha256(text).digest(),
            )
        )  # fmt: skip


def _say(cli: Cli, done: Sequence[Destroyed], file: Path, *, agreed: bool) -> None:
    for one in done:
        cli.say(
            _("{target}: {held} snapshots rewritten, {files} paths gone, {size} cleared away").format(
                target=one.target, held=number(one.held), files=number(one.files), size=size(one.freed)
            )
        )
        if one.check is not None:
            cli.say("  " + render_check(one.check))
    if done:
        cli.say(_("Certificate: {file}").format(file=display(file)))
    if not agreed:
        cli.note(_("Nothing was changed. With --yes it is done."))


def _json(one: Destroyed) -> dict[str, Any]:
    return {
        "target": one.target, "before": one.before, "held": one.held, "after": one.after, "files": one.files,
        "freed": one.freed, "check": check_json(one.check), "rewritten": one.rewritten,
    }  # fmt: skip
