"""``vaultd media sign|items``: signatures that come afterwards, and everything else that is open."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vaultd.cli import media_common as common
from vaultd.cli.base import Cli, command, pass_cli
from vaultd.cli.format import ago, rfc3339, table
from vaultd.errors import EXIT_DONE, ConfigError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from collections.abc import Callable

    from vaultd.media.register import Register
    from vaultd.store.mediarows import SignatureRow


@command(
    "sign",
    help=N_(
        "Sign for an event afterwards: with an SSH key here (--key), with a signature that was made elsewhere "
        "(--signature), or on paper (--sheet). For a signature made elsewhere, --print gives the text to be signed:\n\n"
        "vaultd media sign EVENT --print > event; ssh-keygen -Y sign -n vaultd-media -f KEY event"
    ),
    examples=[
        "vaultd media sign 3f9a0c1d2e --by 王芳 --key /root/wang.pub",
        "vaultd media sign 3f9a0c1d2e --by 王芳 --signature event.sig",
        "vaultd media sign 3f9a0c1d2e --by 陈医生 --sheet 2026-44",
        "vaultd media sign 3f9a0c1d2e --print",
    ],
)
@click.argument("event")
@click.option("--by", "person", metavar="NAME", help=N_("Who signs."))
@click.option("--key", metavar="FILE", type=click.Path(path_type=Path), help=N_("Their private SSH key, or its .pub."))
@click.option("--signature", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help=N_("What ssh-keygen -Y sign wrote."))  # fmt: skip
@click.option("--sheet", default="", metavar="NUMBER", help=N_("The sheet of paper that they have signed."))
@click.option("--print", "only_print", is_flag=True, help=N_("Print the text to be signed, and nothing else."))
@pass_cli
def sign_command(
    cli: Cli, event: str, person: str | None, key: Path | None, signature: Path | None, sheet: str, only_print: bool
) -> int:
    """Sign, or say what is to be signed."""
    from vaultd.media import moves

    if only_print:
        return _print(cli, event)
    if not person:
        raise ConfigError(_("vaultd media sign"), _("--by NAME is missing"))
    with common.opened(cli) as register:
        signed = moves.late_signature(register, event, person, signer(register, person, key, signature, sheet))
    cli.emit({"version": 1, "event": event, "signature": common.signature_json(signed)})
    cli.say(common.signature_line(signed))
    return EXIT_DONE


def signer(
    register: Register, person: str, key: Path | None, signature: Path | None, sheet: str
) -> Callable[[str, bytes], SignatureRow]:
    """Makes a signature of a role and a statement, in the one way that was chosen. Raises ConfigError."""
    from vaultd.media import people, sshsig
    from vaultd.media.register import clean

    if sum((key is not None, signature is not None, bool(sheet.strip()))) != 1:
        raise ConfigError(_("the signature of {name}").format(name=person),
                          _("one of --key, --signature and --sheet is needed"))  # fmt: skip

    def make(role: str, statement: bytes) -> SignatureRow:
        if key is not None:
            text = sshsig.sign(key, statement)
        elif signature is not None:
            text = sshsig.read(signature)
        else:
            return people.on_paper(role, person, clean(sheet, "sheet"))
        return people.by_key(register.config, role, person, statement, text)

    return make


def _print(cli: Cli, event: str) -> int:
    from vaultd.media.faults import NoMediumError

    with common.reading(cli) as store:
        found = None if store is None else store.media_event(event.strip().lower())
    if found is None:
        raise NoMediumError(_("event {event}").format(event=event), _("there is none"))
    cli.emit({"version": 1, "event": found.uid, "text": found.statement})
    if not cli.json:
        click.echo(found.statement.encode(), nl=False)
    return EXIT_DONE


@command(
    "items",
    help=N_(
        "List what is open: signatures and late approvals that are owed, media that are overdue, missing or in the "
        "wrong place, lists for destruction, supplies, and disks of a vault that are in no register."
    ),
    examples=["vaultd media items", "vaultd --json media items"],
)
@pass_cli
def items_command(cli: Cli) -> int:
    """From the state database."""
    from datetime import datetime

    from vaultd.media.items import Item, open_items

    now, found = time.time_ns(), list[Item]()
    with common.reading(cli) as store:
        if store is not None:
            found = open_items(store, datetime.now().astimezone().date(), now, common.inventory(cli))
    cli.emit({"version": 1, "items": [
        {"kind": one.kind, "subject": one.subject, "text": one.text, "since": rfc3339(one.since) if one.since else None}
        for one in found
    ]})  # fmt: skip
    words = {
        "signature": _("signature"), "approval": _("late approval"), "overdue": _("overdue"), "missing": _("missing"),
        "misplaced": _("wrong place"), "destruction": _("destruction"), "stock": _("supplies"),
        "unregistered": _("not registered"), "unchecked": _("to be looked at"),
    }  # fmt: skip
    rows = [(words[one.kind], one.subject, one.text, ago(one.since, now) if one.since else "") for one in found]
    cli.say(table((_("what"), _("of"), _("text"), _("since")), rows) if rows else _("Nothing is open."))
    return EXIT_DONE
