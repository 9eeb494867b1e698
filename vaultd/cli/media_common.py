"""What the commands of ``vaultd media`` share: the register, who signs how, and how media look."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli.format import local, parse_rfc3339, rfc3339
from vaultd.errors import ConfigError, NotRunningError
from vaultd.i18n import N_, _

if TYPE_CHECKING:
    from vaultd.cli.base import Cli
    from vaultd.disks.model import Inventory
    from vaultd.media.people import Means
    from vaultd.media.register import Register
    from vaultd.store import Store
    from vaultd.store.mediarows import EventRow, Medium, SignatureRow

ACTIONS = {
    "remove": N_("removed from its machine"), "send": N_("sent"), "deposit": N_("deposited"),
    "return": N_("returned"), "install": N_("put into service"), "hand-over": N_("handed over"),
    "check-out": N_("checked out"), "check-in": N_("checked in"), "destroy-request": N_("to be destroyed"),
    "destroy": N_("destroyed"),
}  # fmt: skip
ROLES = {
    "released-by": N_("released by"), "received-by": N_("received by"), "witness": N_("witness"),
    "approver": N_("approved by"), "requested-by": N_("requested by"), "executor": N_("executed by"),
    "verified-by": N_("verified by"),
}  # fmt: skip
CLASSIFICATIONS = ("top-secret", "secret", "confidential", "internal")


@contextlib.contextmanager
def opened(cli: Cli) -> Iterator[Register]:
    """The register, to be changed: by root or the daemon's user."""
    from vaultd.cli.places import own_store
    from vaultd.custody import caller
    from vaultd.media.register import Register

    config = cli.config()
    with own_store(cli) as store:
        yield Register(config, store, caller())


@contextlib.contextmanager
def reading(cli: Cli) -> Iterator[Store | None]:
    """The store, to be read; None where there is no register yet. The configuration is not checked: a list of 100,000
    media has half a second."""
    from vaultd.store import Store

    database = cli.places().database
    if not database.exists():
        yield None
        return
    store = Store(database, read_only=True)
    try:
        yield store if store.has_media() else None
    finally:
        store.close()


def inventory(cli: Cli) -> Inventory | None:
    """The disks as they were seen last; None: nobody has looked."""
    from vaultd.disks import kept

    return kept.last(cli.places().state)


def daemon_runs(cli: Cli) -> bool:
    """Whether somebody watches what changes."""
    try:
        cli.client().status(5.0)
    except NotRunningError:
        return False
    return True


# signing


def signing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--sign`` and ``--sheet``."""
    options = [
        click.option("--sign", "keys", metavar="NAME=FILE", multiple=True,
                     help=N_("Sign for NAME with this SSH key, or with the agent's by its .pub; may be repeated.")),
        click.option("--sheet", default="", metavar="NUMBER",
                     help=N_("The sheet of paper on which those sign who have no key.")),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def time_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--time``."""
    text = N_("When it happened, where it is written down later [default: now]")
    return click.option("--time", "time_text", metavar="TIME", help=text)(function)


def means(keys: tuple[str, ...], sheet: str) -> Means:
    """What ``--sign`` and ``--sheet`` say. Raises ConfigError."""
    from vaultd.media.people import Means
    from vaultd.media.register import clean

    found: dict[str, Path] = {}
    for text in keys:
        name, equals, file = text.partition("=")
        if not (name.strip() and equals and file):
            raise ConfigError(f"--sign {text}", _("this is not NAME=FILE"))
        found[name.strip()] = Path(file).expanduser()
    return Means(found, clean(sheet, "sheet"))


def moment_of(text: str | None) -> Any:
    """What ``--time`` says, None without it."""
    from vaultd.media import record

    return None if text is None else record.stated(text)


def day_of(option: str, text: str) -> date:
    """A date. Raises ConfigError."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option} {text}", _("this is not a day"), _("write it as 2027-12-31")) from None


# how things look


def medium_json(medium: Medium) -> dict[str, Any]:
    """A medium as ``--json`` has it (docs/json.md)."""
    return {
        "label": medium.label, "copy": medium.copy, "classification": medium.classification, "period": medium.period,
        "condition": medium.condition, "type": medium.type, "make": medium.make, "model": medium.model,
        "serial": medium.serial, "wwn": medium.wwn, "capacity": medium.capacity, "encryption": medium.encryption,
        "custodian": medium.custodian, "deputy": medium.deputy, "location": medium.location, "host": medium.host,
        "slot": medium.slot, "vaults": list(medium.vault_names), "note": medium.note, "status": medium.status,
        "holder": medium.holder, "bound_for": medium.bound_for, "seal": medium.seal, "borrower": medium.borrower,
        "due": local(medium.due)[:10] if medium.due else None, "trouble": medium.trouble,
        "seen": rfc3339(medium.seen) if medium.seen else None, "seen_where": medium.seen_where,
        "added": rfc3339(medium.added), "changed": rfc3339(medium.changed),
    }  # fmt: skip


def signature_json(row: SignatureRow) -> dict[str, Any]:
    """A signature as ``--json`` has it."""
    return {
        "role": row.role, "person": row.person, "state": row.state,
        "signature": row.value if row.state == "signed" else None, "key": row.key or None,
        "sheet": row.value if row.state == "paper" else None,
        "request": int(row.value) if row.state == "approved" else None, "at": rfc3339(row.at) if row.at else None,
    }  # fmt: skip


def event_json(event: EventRow, signatures: list[SignatureRow]) -> dict[str, Any]:
    """An event as ``--json`` has it: what people sign, and who has signed."""
    import json

    return {
        "event": event.uid, "type": event.type, "action": event.action, "time": rfc3339(event.at),
        "statement": json.loads(event.statement), "signatures": [signature_json(row) for row in signatures],
    }  # fmt: skip


def role(name: str) -> str:
    """A role for people."""
    if name.startswith("approval-"):
        return _("approval, level {level}").format(level=name.removeprefix("approval-"))
    return _(ROLES.get(name, name))


def signature_line(row: SignatureRow) -> str:
    """A signature for people."""
    how = {
        "owed": _("not signed yet"), "paper": _("on paper, sheet {sheet}").format(sheet=row.value),
        "signed": _("signed with {key}").format(key=row.key),
        "approved": _("approved by request {number}").format(number=row.value),
    }  # fmt: skip
    return f"{role(row.role)}: {row.person}, {how[row.state]}"


def event_lines(event: EventRow, signatures: list[SignatureRow]) -> list[str]:
    """An event for people."""
    import json

    told: Mapping[str, Any] = json.loads(event.statement)
    lines = [f"{local(parse_rfc3339(told['time']))}  {_(ACTIONS.get(event.action, event.action))}  ({event.uid})"]
    places = [told.get("place_from"), told.get("place_to")]
    if any(places):
        lines.append("    " + _("from {place} to {other}").format(place=places[0] or "-", other=places[1] or "-"))
    for name, text in (
        ("purpose", _("purpose: {text}")), ("seal", _("seal: {text}")), ("seal_condition", _("seal found: {text}")),
        ("due", _("to be back by {text}")), ("emergency", _("emergency: {text}")),
        ("override", _("although data on it was not safe off-site: {text}")), ("reason", _("reason: {text}")),
        ("number", _("list {text}")), ("method", _("method: {text}")),
    ):  # fmt: skip
        if told.get(name):
            lines.append("    " + text.format(text=told[name]))
    return [*lines, *("    " + signature_line(row) for row in signatures)]


def say_event(cli: Cli, event: str, text: str, signatures: list[SignatureRow]) -> None:
    """An event that has just gone on record."""
    cli.say(text)
    for row in signatures:
        cli.say("  " + signature_line(row))
    if any(row.state == "owed" for row in signatures):
        text = _("Not everybody has signed event {event}: it is open until they have (vaultd media sign {event}).")
        cli.say(text.format(event=event))
